"""What a Refinement holds between two actions, and what undo restores."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from mednextseg.refine.propagation import PropagatedSlice
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.slice_session import SliceSession, SliceState

UNDO_LEVELS = 64


@dataclass(frozen=True, eq=False)
class ActiveSlice:
    """The slice with prompts on it, not accepted yet, and what was propagated from it."""

    plane: SlicePlane
    session: SliceSession
    state: SliceState
    propagated: tuple[PropagatedSlice, ...] = ()

    @property
    def probability(self) -> np.ndarray:
        """(H, W) float32 of the preview."""
        if self.state.result is not None:
            return self.state.result.probability
        start = self.session.start_mask
        return np.zeros(self.plane.shape_rc, np.float32) if start is None else start


@dataclass(frozen=True, eq=False)
class HandSlice:
    """An accepted slice: propagation never changes it."""

    plane: SlicePlane
    probability: np.ndarray


@dataclass(frozen=True, eq=False)
class Step:
    """One action: the active slice and the slices made by hand before and after it, and what it did to the segment's voxels.

    `changed` are flat indices of voxels that change, one array after the other, each voxel once in each: the same way back, in
    the other order.
    """

    before: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    after: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    changed: tuple[np.ndarray, ...] = ()


class UndoStack:
    """The actions that can be taken back, and those taken back that can be done again: at most UNDO_LEVELS of each."""

    def __init__(self) -> None:
        self._done: deque[Step] = deque(maxlen=UNDO_LEVELS)
        self._undone: deque[Step] = deque(maxlen=UNDO_LEVELS)

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def add(self, step: Step) -> None:
        """A new action; what was taken back before it is forgotten."""
        self._done.append(step)
        self._undone.clear()

    def undo(self) -> Step:
        """The last action, which is taken back now; IndexError where there is none."""
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step:
        """The action taken back last, which is done again now; IndexError where there is none."""
        self._done.append(self._undone.pop())
        return self._done[-1]
