"""When the event loop must have its turn, while something short is waited for without it."""

import time

import qt

_LONGEST_MS = 90  # a user notices a delay from about 100 ms on; most clicks are answered by then


class EventLoopTurns:
    """Counts the time since the event loop had its turn, from the first wait after it, however many waits there are in between.

    What is drawn while a network answers takes a core from it and is old at once, so a short wait does without the event loop.
    """

    def __init__(self) -> None:
        self._waitsSince: float | None = None  # None: the event loop has had its turn

    def remainingMs(self) -> int:
        """For how long it may still be waited without the event loop; 0 where that must have its turn now."""
        if self._waitsSince is None:
            self._waitsSince = time.monotonic()
            qt.QTimer.singleShot(0, self._onTurn)
            return _LONGEST_MS
        return max(0, _LONGEST_MS - round(1000 * (time.monotonic() - self._waitsSince)))

    def _onTurn(self) -> None:
        self._waitsSince = None
