"""The worker's life as a process: a group of its own, and an end that leaves nothing behind."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path


def lead_process_group() -> bool:
    """Make this process the leader of a new group, which its children join; False on Windows, which has no such groups.

    A Ctrl-C in the terminal then goes to the client alone, and the children can be ended together with the worker.
    """
    if not hasattr(os, "setpgid"):
        return False
    os.setpgid(0, 0)
    return True


def process_ender(folder: Path, leads_group: bool) -> Callable[[], None]:
    """What ends this process at once, whatever its threads do: the folder is removed, the children are ended.

    Call it in the main thread; the function it returns may be called from any.
    """

    def end() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if leads_group:
            os.killpg(0, signal.SIGTERM)
        os._exit(0)

    def end_on_signal(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # or the signal to the group would call this again, without end
        end()

    # Python's own handler only leaves a note for the main thread: the group's SIGTERM reaches the children and spares this
    # process until it has left by itself.
    signal.signal(signal.SIGTERM, end_on_signal)
    return end
