"""What a Refinement holds between two actions, and what undo restores."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from mednextseg.refine.propagation import PropagatedSlice
from mednextseg.refine.slices.slice_plane import SlicePlane, is_parallel
from mednextseg.refine.slices.slice_session import SliceSession, SliceState

UNDO_LEVELS = 64
_LEAST_SIDE_PX = 3.0
_MAXIMUM_BYTES = 256 << 20  # masks of 3000 x 3000 pixels take 36 MB each


@dataclass(frozen=True, eq=False)
class ActiveSlice:
    """The slice with prompts on it, not accepted yet, and what was propagated from it.

    Attributes:
        plane, session, state: the slice, and the prompts on it.
        propagated: other slices, filled in.
        corrected: slices of a whole object that were worked on before this one, each without slices of its own.
        is_whole: whether the preview is that of a whole object: a prompt on another of its slices corrects it.
    """

    plane: SlicePlane
    session: SliceSession
    state: SliceState
    propagated: tuple[PropagatedSlice, ...] = ()
    corrected: tuple["ActiveSlice", ...] = ()
    is_whole: bool = False

    @property
    def probability(self) -> np.ndarray:
        """(H, W) float32 of the preview."""
        if self.state.result is not None:
            return self.state.result.probability
        start = self.session.start_mask
        return np.zeros(self.plane.shape_rc, np.float32) if start is None else start

    @property
    def answer(self) -> np.ndarray:
        """(H, W) float32 of the prompter, before a whole object changed it."""
        return self.probability if self.state.answer is None else self.state.answer


def as_corrected(active: ActiveSlice) -> ActiveSlice:
    """A slice without what belongs to the object that it is part of."""
    return ActiveSlice(active.plane, active.session, active.state)


def side_of_object(active: ActiveSlice, plane: SlicePlane) -> float | None:
    """The root of the area of an object, in pixels, on the slice nearest to a plane that shows it; None where none does."""
    slices = [item for item in (active, *active.corrected, *active.propagated) if (item.probability > 0.5).any()]
    if not slices:
        return None
    nearest = min(slices, key=lambda item: abs(float(plane.distance_mm(item.plane.origin_ras))))
    return max(float(np.sqrt(np.count_nonzero(nearest.probability > 0.5))), _LEAST_SIDE_PX)


@dataclass(frozen=True, eq=False)
class HandSlice:
    """An accepted slice: propagation never changes it."""

    plane: SlicePlane
    probability: np.ndarray


def made_by_hand(hand: tuple[HandSlice, ...], plane: SlicePlane) -> np.ndarray | None:
    """(H, W) of the slice made by hand last on a plane; None where there is none."""
    for item in reversed(hand):
        near = abs(plane.distance_mm(item.plane.origin_ras)) <= plane.thickness_mm / 2
        if near and is_parallel(item.plane, plane) and item.plane.shape_rc == plane.shape_rc:
            return item.probability
    return None


def last_parallel(hand: tuple[HandSlice, ...], plane: SlicePlane) -> HandSlice:
    """The slice made by hand last that is parallel to a plane and another one; ValueError where there is none."""
    others = [item for item in hand if is_parallel(item.plane, plane)]
    others = [item for item in others if abs(plane.distance_mm(item.plane.origin_ras)) > plane.thickness_mm / 2]
    if not others:
        raise ValueError("correct and accept a second slice in the same slice view first; then fill the gap between the two.")
    return others[-1]


@dataclass(frozen=True, eq=False)
class Step:
    """One action: the active slice and the slices made by hand before and after it, and what it did to the segment's voxels.

    `changed` are flat indices of voxels that change, one array after the other, each voxel once in each: the same way back, in
    the other order.
    """

    before: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    after: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    changed: tuple[np.ndarray, ...] = ()

    def arrays(self) -> dict[int, np.ndarray]:
        """What it holds, by identity: neighboring steps hold much of it together."""
        arrays = list(self.changed)
        for active, hand in (self.before, self.after):
            arrays += [item.probability for item in hand]
            if active is not None:
                arrays += [p.probability for p in active.propagated]
                for item in (active, *active.corrected):
                    arrays += [item.probability, item.answer, item.session.embedding.image_rc]
        return {id(array): array for array in arrays}


class UndoStack:
    """The actions that can be taken back, and those taken back that can be done again: at most UNDO_LEVELS of each.

    Args:
        maximum_bytes: what actions may hold beyond what the last one does; of more, the oldest are forgotten.
    """

    def __init__(self, maximum_bytes: int = _MAXIMUM_BYTES) -> None:
        self._maximum_bytes = maximum_bytes
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
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        newest, held = self._done[-1].arrays(), {}
        for number in reversed(range(len(self._done) - 1)):
            held.update(self._done[number].arrays())
            if sum(array.nbytes for key, array in held.items() if key not in newest) > self._maximum_bytes:
                for _step in range(number + 1):
                    self._done.popleft()
                return

    def undo(self) -> Step:
        """The last action, which is taken back now; IndexError where there is none."""
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step:
        """The action taken back last, which is done again now; IndexError where there is none."""
        self._done.append(self._undone.pop())
        return self._done[-1]
