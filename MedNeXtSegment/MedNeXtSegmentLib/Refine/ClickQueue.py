"""The actions of a refinement, one after the other, while the event loop brings further ones."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mednextseg.refine.slices.slice_plane import SlicePlane
from MedNeXtSegmentLib.Refine.SlicePlanes import isSameSlice


@dataclass(frozen=True, eq=False)
class Click:
    """A point on a plane, in world RAS mm."""

    pointRAS: np.ndarray
    isPositive: bool
    plane: SlicePlane


@dataclass(frozen=True, eq=False)
class _Action:
    do: Callable[[], None]
    click: Click | None


class ClickQueue:
    """Actions are done in their order. Clicks are latest-wins: of those that wait on one slice only the newest is answered.

    Attributes:
        isBusy: whether an action is being done.
    """

    def __init__(self) -> None:
        self.isBusy = False
        self._current: _Action | None = None
        self._waiting: deque[_Action] = deque()

    @property
    def clicks(self) -> list[Click]:
        """Those that have no answer yet, oldest first."""
        actions = [*([self._current] if self._current else []), *self._waiting]
        return [action.click for action in actions if action.click is not None]

    @property
    def isOvertaken(self) -> bool:
        """Whether the action being done is a click, and the next one a click on the same slice."""
        now = self._current.click if self._current else None
        following = self._waiting[0].click if self._waiting else None
        return now is not None and following is not None and isSameSlice(following.plane, now.plane)

    def add(self, do: Callable[[], None], click: Click | None = None) -> bool:
        """Have something done: now, or after what is being done. An error ends what waits.

        Returns:
            Whether it was done; False where it waits.
        """
        self._waiting.append(_Action(do, click))
        if self.isBusy:
            return False
        self.isBusy = True
        try:
            while self._waiting:
                self._current = self._waiting.popleft()
                self._current.do()
        finally:
            self.clear()
            self._current, self.isBusy = None, False
        return True

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
