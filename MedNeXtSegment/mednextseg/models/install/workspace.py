"""Folders in the library where models are made before they are moved to their place, and what interrupted programs left there.

A folder's name says who made it: .installing-HOST-PID-... Standard library only.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mednextseg import leftovers
from mednextseg.errors import cure_of, reason_of

DOWNLOADS = ".downloads"
_KINDS = "importing|installing|removing|unpacking"
# Names of older versions do not say who made them.
_NAMES = re.compile(rf"^\.(?:{_KINDS})-(?:{leftovers.OWNER_PATTERN}-)?")
_OLD_DOWNLOAD_S = 7 * 24 * 3600.0


@contextmanager
def workspace(library: Path, kind: str) -> Iterator[Path]:
    """A temporary folder in the library, so that moving a model to its place is a rename; gone at the end.

    Args:
        library: the folder of installed models; created where it does not exist.
        kind: "importing", "installing" or "unpacking".
    Raises:
        OSError: in one sentence, where the disk of the library fills up.
    """
    library.mkdir(parents=True, exist_ok=True)
    remove_stale(library)
    with tempfile.TemporaryDirectory(prefix=_prefix(kind), dir=library, ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            names = [str(name) for name in (error.filename, error.filename2) if name is not None]
            if error.errno is None or (names and not any(name.startswith(folder) for name in names)):
                raise  # says it in a sentence, or is about another file
            raise OSError(f"nothing could be added to {library} ({reason_of(error)}); {cure_of(error)}.") from error


def doomed_name(library: Path, kind: str) -> Path:
    """A free name for something that is about to be deleted."""
    folder = Path(tempfile.mkdtemp(prefix=_prefix(kind), dir=library))
    folder.rmdir()
    return folder


def remove_stale(library: Path) -> None:
    """Delete what interrupted programs left behind; what another program may be working on stays."""
    leftovers.remove_stale(library, _NAMES)
    downloads = library / DOWNLOADS
    for file in downloads.iterdir() if downloads.is_dir() else ():
        if time.time() - file.stat().st_mtime > _OLD_DOWNLOAD_S:
            file.unlink(missing_ok=True)


def _prefix(kind: str) -> str:
    return f".{kind}-{leftovers.owner_tag()}-"
