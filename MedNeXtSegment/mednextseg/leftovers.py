"""What interrupted programs left: names of temporary files and folders say who made them, so that others can tell when they are stale.

Standard library only.
"""

import os
import re
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path

OWNER_PATTERN = r"(?P<host>[a-z0-9]+)-(?P<pid>\d+)"
_OLD_S = 24 * 3600.0


def owner_tag() -> str:
    """HOST-PID of this process, for the name of something temporary."""
    return f"{_host()}-{os.getpid()}"


def is_stale(path: Path, host: str | None, process_id: str | None) -> bool:
    """Whether the process that made something is gone; where that cannot be told, whether nothing in it was written for a day.

    Args:
        path: a temporary file or folder.
        host, process_id: groups of OWNER_PATTERN in its name; None for names that do not say it.
    """
    # Windows has no way to ask for a process without ending it that the standard library offers.
    if host == _host() and process_id is not None and os.name == "posix":
        return not _is_running(int(process_id))
    times = [entry.lstat().st_mtime for entry in (path, *path.rglob("*")) if entry.exists()]
    return time.time() - max(times, default=0.0) > _OLD_S


def remove_stale(folder: Path, pattern: re.Pattern) -> None:
    """Delete the stale files and folders of a folder whose names match (with the groups of OWNER_PATTERN).

    What cannot be deleted, and every link, stays.
    """
    for name in os.listdir(folder):
        match, path = pattern.match(name), folder / name
        if match is None or path.is_symlink() or not is_stale(path, match["host"], match["pid"]):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _host() -> str:
    return re.sub(r"[^a-z0-9]", "", socket.gethostname().lower()) or "host"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's
    return True
