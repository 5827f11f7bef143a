"""Ctrl-C and SIGTERM as one KeyboardInterrupt, from the first moment on. Light: this is imported before anything else."""

import _thread
import atexit
import signal
import sys
from types import FrameType, TracebackType


class StopSignals:
    """While entered, Ctrl-C and SIGTERM raise KeyboardInterrupt in the main thread.

    Attributes:
        asked: number of the signal that came; 0 for none. An exception that comes after it, whatever its kind, is the stop's doing:
            modules that are interrupted while they are imported raise others.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._previous: dict[int, object] = {}
        self._previous_hook = sys.unraisablehook

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # a parent may have them ignored
                try:
                    self._previous[number] = signal.signal(number, self._raise)
                except ValueError:  # only the main thread hears signals
                    break
        sys.unraisablehook = self._again
        # What is interrupted while it ends prints traces of other programs' code.
        atexit.unregister(_ignore)
        atexit.register(_ignore)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._previous_hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        raise KeyboardInterrupt

    def _again(self, caught: "sys.UnraisableHookArgs") -> None:
        """A stop that came inside a callback, where nothing can be raised, is raised behind it."""
        if self.asked and isinstance(caught.exc_value, KeyboardInterrupt):
            _thread.interrupt_main()
        else:
            self._previous_hook(caught)


def _ignore() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
