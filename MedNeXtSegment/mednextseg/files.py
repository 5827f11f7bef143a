"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed. Standard library only."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mednextseg.errors import cure_of, reason_of
from mednextseg.leftovers import OWNER_PATTERN, owner_tag, remove_stale

# Hidden, so that no listing of cases or models takes an unfinished file for one.
_TEMPORARY_PREFIX = ".mednextseg-"
# Names of older versions do not say who made them.
_TEMPORARY_NAMES = re.compile(rf"^\.mednextseg-(?:{OWNER_PATTERN}-[0-9a-f]{{8}}|[0-9a-f]{{16}})(?:\.|$)")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and is removed where it fails.

    What was written can be checked inside the block: an error raised there leaves an old file of that name as it was. A link stays one:
    the file that it names is replaced.

    Yields:
        The temporary path, to be written to in the block; its last two suffixes (".nii.gz") are those of `path`, in small letters.
    Raises:
        OSError: where the place cannot be written to (see `check_writable`) or the disk is full.
    """
    path = Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)
    check_writable(path)
    remove_stale(path.parent, _TEMPORARY_NAMES)
    suffixes = "".join(path.suffixes[-2:]).lower()
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{owner_tag()}-{secrets.token_hex(4)}{suffixes}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise  # says it in a sentence, or is about another file
        raise type(error)(
            f"{path} could not be written ({reason_of(error)}); {cure_of(error)}; the old file, if any, is unchanged."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all; OSError as in `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; OSError as in `replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def check_writable(
    path: str | Path, suffixes: Sequence[str] = (), inputs: Sequence[str | Path] = (), needed_bytes: int = 1
) -> None:
    """Make sure, before a long run, that a file can be written at this place; nothing is written.

    Args:
        path: the file to be.
        suffixes: what its name may end in, in any case (".nii.gz"); empty for anything.
        inputs: files, and folders of files, that are read: none of them may be written over, by whatever name or link.
        needed_bytes: what the file will take at the least.
    Raises:
        ValueError: for another suffix, or a file that is an input.
        FileNotFoundError: where its folder does not exist.
        PermissionError: where the folder or an old file of that name cannot be written to.
        OSError: where the disk has no room.
    """
    path = Path(path)
    if suffixes and not any(path.name.lower().endswith(suffix) and len(path.name) > len(suffix) for suffix in suffixes):
        raise ValueError(f"{path.name} cannot be written; give a name that ends in {_listed(suffixes)}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; create it or choose another place for {path.name}.")
    same = next((file for file in _files_of(inputs) if path.exists() and file.samefile(path)), None)
    if same is not None:
        raise ValueError(f"{path} is the input {same.name}, which would be lost; choose another name for the output.")
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(f"{path} exists and cannot be overwritten; choose another name.")
    _check_folder(path.parent, path.name, needed_bytes)


def make_folder(path: str | Path) -> Path:
    """The folder for results, made with those above it, and found fit to be written to before a long run.

    Raises:
        FileExistsError: where a file has that name.
        PermissionError, OSError: where it cannot be made, written to, or the disk has no room.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, and results need a folder; choose another name.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"the folder {path} cannot be made ({reason_of(error)}); {cure_of(error)}.") from error
    _check_folder(path, "the results", 1)
    return path


def _check_folder(folder: Path, what: str, needed_bytes: int) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"nothing can be written to the folder {folder}; choose another place for {what}.")
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OSError(
            f"the disk of {folder} has {_size(free)} left and {what} needs more than {_size(needed_bytes)}; make room."
        )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count} bytes"


def _files_of(inputs: Sequence[str | Path]) -> Iterator[Path]:
    """The inputs that exist; of folders, the files right in them."""
    for entry in map(Path, inputs):
        if entry.is_dir():
            yield from (file for file in entry.iterdir() if file.is_file())
        elif entry.exists():
            yield entry


def _listed(suffixes: Sequence[str]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}" if len(suffixes) > 1 else suffixes[0]


def _flush(path: Path) -> None:
    """Wait until the content is on the disk: renamed before that, a power cut leaves an empty file under the final name."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
