"""Surfaces of an edited segment follow when the user pauses."""

import qt

_PAUSE_MS = 800  # without an action


class IdleSurfaces:
    """Has a session's surfaces made anew after a pause, rather than with each click."""

    def __init__(self) -> None:
        self._session = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._onPause)

    def follow(self, session) -> None:
        """Something was done in a RefineSession, which may be a new one; None for none."""
        self._session = session
        if session is None:
            self._timer.stop()
            return
        session.shapes.defer()
        if session.shapes.areStale:
            self._timer.start()

    def _onPause(self, *_args) -> None:
        if self._session is not None and self._session.isBusy:
            self._timer.start()
        elif self._session is not None:
            self._session.shapes.refresh()
