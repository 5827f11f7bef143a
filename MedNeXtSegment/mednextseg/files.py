"""Files that appear whole or not at all: written under a temporary name beside the target, then renamed. Standard library only."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Hidden, so that no listing of cases or models takes an unfinished file for one.
_TEMPORARY_PREFIX = ".mednextseg-"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and is removed where it fails.

    What was written can be checked inside the block: an error raised there leaves an old file of that name as it was.

    Yields:
        The temporary path, to be written to in the block; its last two suffixes (".nii.gz") are those of `path`.
    Raises:
        OSError: where the place cannot be written to (see `check_writable`) or the disk is full.
    """
    path = Path(path)
    check_writable(path)
    temporary = path.with_name(f"{_TEMPORARY_PREFIX}{secrets.token_hex(8)}{''.join(path.suffixes[-2:])}")
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
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


def check_writable(path: str | Path) -> None:
    """Make sure, before a long run, that a file can be written at this place; nothing is written.

    Raises:
        FileNotFoundError: where its folder does not exist.
        PermissionError: where the folder or an old file of that name cannot be written to.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; create it or choose another place for {path.name}.")
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise PermissionError(f"{path} exists and cannot be overwritten; choose another name.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"nothing can be written to the folder {path.parent}; choose another place for {path.name}.")


def _flush(path: Path) -> None:
    """Wait until the content is on the disk: renamed before that, a power cut leaves an empty file under the final name."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
