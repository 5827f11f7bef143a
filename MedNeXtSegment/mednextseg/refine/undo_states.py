"""What a Refinement holds between two actions, and what undo restores."""

import json
from dataclasses import dataclass

import numpy as np

from mednextseg.refine.propagation import PropagatedSlice
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.slice_session import SliceSession, SliceState


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

    `flips` are flat indices of voxels that change, one array after the other, each voxel once in each: the same way back, in
    the other order.
    """

    before: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    after: tuple[ActiveSlice | None, tuple[HandSlice, ...]]
    flips: tuple[np.ndarray, ...] = ()


def key_of(plane: SlicePlane) -> str:
    """The same text for the same plane."""
    return json.dumps(plane.to_dict())


def is_same_plane(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether two planes have the identical grid."""
    return key_of(plane) == key_of(other)


def is_parallel(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether two planes have the same normal."""
    return bool(np.allclose(plane.normal_ras, other.normal_ras, atol=1e-6))
