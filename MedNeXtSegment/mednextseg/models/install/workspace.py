"""Folders in the library where models are made before they are moved to their place, and what interrupted programs left there.

A folder's name says who made it (.installing-HOST-PID-...): it is stale when that process is gone, or, where that cannot be told, when
nothing in it was written for a day. Standard library only.
"""

import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DOWNLOADS = ".downloads"
_KINDS = "importing|installing|removing|unpacking"
_NAME = re.compile(rf"^\.(?:{_KINDS})-(?P<host>[a-z0-9]+)-(?P<pid>\d+)-")
_OLD_NAME = re.compile(rf"^\.(?:{_KINDS})-")
_OLD_S, _OLD_DOWNLOAD_S = 24 * 3600.0, 7 * 24 * 3600.0


@contextmanager
def workspace(library: Path, kind: str) -> Iterator[Path]:
    """A temporary folder in the library, so that moving a model to its place is a rename; gone at the end.

    Args:
        library: the folder of installed models; created where it does not exist.
        kind: "importing", "installing" or "unpacking".
    """
    library.mkdir(parents=True, exist_ok=True)
    remove_stale(library)
    with tempfile.TemporaryDirectory(prefix=_prefix(kind), dir=library, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def doomed_name(library: Path, kind: str) -> Path:
    """A free name for something that is about to be deleted."""
    folder = Path(tempfile.mkdtemp(prefix=_prefix(kind), dir=library))
    folder.rmdir()
    return folder


def remove_stale(library: Path) -> None:
    """Delete what interrupted programs left behind; what another program may be working on stays."""
    for folder in library.iterdir():
        if folder.is_dir() and not folder.is_symlink() and _OLD_NAME.match(folder.name) and _is_stale(folder):
            shutil.rmtree(folder, ignore_errors=True)
    downloads = library / DOWNLOADS
    for file in downloads.iterdir() if downloads.is_dir() else ():
        if time.time() - file.stat().st_mtime > _OLD_DOWNLOAD_S:
            file.unlink(missing_ok=True)


def _prefix(kind: str) -> str:
    return f".{kind}-{_host()}-{os.getpid()}-"


def _host() -> str:
    return re.sub(r"[^a-z0-9]", "", socket.gethostname().lower()) or "host"


def _is_stale(folder: Path) -> bool:
    owner = _NAME.match(folder.name)
    # Windows has no way to ask for a process without ending it that the standard library offers.
    if owner is not None and owner["host"] == _host() and os.name == "posix":
        return not _is_running(int(owner["pid"]))
    times = [path.lstat().st_mtime for path in (folder, *folder.rglob("*")) if path.exists()]
    return time.time() - max(times, default=0.0) > _OLD_S


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True
