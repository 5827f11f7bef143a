"""Folders of arrays: locked by their worker while it lives, so that those of killed workers can be told and deleted.

Standard library only. Windows has no locks of folders: there the system's own cleaning is left to it.
"""

import os
import shutil
import tempfile
import time
from importlib import import_module
from pathlib import Path

PREFIX = "mednextseg-"
# A client makes the folder some seconds before its worker locks it.
_NEW_S = 3600.0


def lock(folder: Path) -> int | None:
    """Lock a folder for the life of this process.

    Returns:
        The descriptor that holds the lock; None where another process has it, and on systems without such locks.
    """
    if os.name != "posix":
        return None
    fcntl = import_module("fcntl")
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove_stale_folders(parent: Path | None = None) -> None:
    """Delete the folders of workers that were killed together with their clients; what cannot be deleted stays.

    Args:
        parent: where they lie; None for the system's folder for temporary files.
    """
    parent = parent or Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        descriptor = lock(folder)
        if descriptor is None:
            continue
        if time.time() - os.fstat(descriptor).st_mtime > _NEW_S:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
