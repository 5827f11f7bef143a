"""The folder of a training, in which one program at a time works."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mednextseg import leftovers
from mednextseg.files import make_folder

_LOCK_FILE = "in_use"


@contextmanager
def locked(folder: str | Path) -> Iterator[Path]:
    """The folder, made where it does not exist, for this process alone.

    Raises:
        RuntimeError: where another program trains in it.
        OSError: where it cannot be made or written to.
    """
    folder = make_folder(folder)
    lock = folder / _LOCK_FILE
    if not _taken(lock):
        match = re.fullmatch(leftovers.OWNER_PATTERN, lock.read_text(encoding="ascii", errors="replace").strip())
        if not leftovers.is_stale(lock, *(match.groups() if match else (None, None))):
            raise RuntimeError(f"another program trains in {folder}; wait for it, or choose another folder.")
        lock.unlink(missing_ok=True)
        if not _taken(lock):
            raise RuntimeError(f"another program trains in {folder}; wait for it, or choose another folder.")
    try:
        yield folder
    finally:
        lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(leftovers.owner_tag())
    return True
