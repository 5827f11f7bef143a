"""A whole object from the slices that the user worked on: filled in between them, and carried on beyond them until it ends by itself."""

from collections.abc import Callable

import numpy as np

from mednextseg.refine.object_walk import Look, ObjectWalk
from mednextseg.refine.prompter import Cancel
from mednextseg.refine.propagation import Kept, PropagatedSlice
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.undo_states import ActiveSlice


def whole_object(
    look: Look,
    active: ActiveSlice,
    kept: Kept,
    is_inside: Callable[[SlicePlane], bool],
    cancel: Cancel | None = None,
) -> tuple[tuple[PropagatedSlice, ...], tuple[str, str]]:
    """What is filled in around the slice worked on; slices that it does not reach, beyond the next corrected ones, stay as they are.

    Args:
        look, cancel: as in ObjectWalk.
        active: the slice worked on, with those corrected before it and those filled in so far; one of them not empty.
        kept, is_inside: as in `propagate`.
    Returns:
        All slices filled in now, along the normal; why it ended ahead and back, empty where a corrected slice lies there.
    """
    known = {0: active.probability, **{_step(active, item.plane): item.probability for item in active.corrected}}
    walk = ObjectWalk(look, active.plane, known, cancel)
    found: dict[int, np.ndarray] = {}
    ended, limits = [], []
    for way in (1, -1):
        neighbor = min((abs(step) for step in known if way * step > 0), default=None)
        limits.append(np.inf if neighbor is None else neighbor)
        if neighbor is not None:
            found.update(walk.between(0, way * neighbor))
            ended.append("")
        elif (active.probability > 0.5).any():
            slices, why = walk.beyond(0, way, is_inside)
            found.update(slices)
            ended.append(why)
        else:
            ended.append("the slice is empty")
    planes = {step: walk.plane_at(step) for step in found}
    filled = {
        step: PropagatedSlice(planes[step], probability, float("nan"))
        for step, probability in found.items()
        if kept(planes[step]) is None
    }
    for item in active.propagated:
        step = _step(active, item.plane)
        if abs(step) > limits[0 if step > 0 else 1]:
            filled[step] = item
    return tuple(filled[step] for step in sorted(filled)), (ended[0], ended[1])


def _step(active: ActiveSlice, plane: SlicePlane) -> int:
    return round(float(active.plane.distance_mm(plane.origin_ras)) / active.plane.thickness_mm)
