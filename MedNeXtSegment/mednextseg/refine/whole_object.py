"""A whole object from the slices that the user worked on: filled in between them, and carried on beyond them until it ends by itself."""

from collections.abc import Callable

import numpy as np

from mednextseg.refine.prompter import Cancel, Prompter
from mednextseg.refine.propagation import Encode, Kept, PropagatedSlice, propagate, propagate_between
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.undo_states import ActiveSlice

_MOST_SLICES = 10_000  # the volume ends before


def whole_object(
    prompter: Prompter,
    encode: Encode,
    active: ActiveSlice,
    kept: Kept,
    is_inside: Callable[[SlicePlane], bool],
    cancel: Cancel | None = None,
) -> tuple[tuple[PropagatedSlice, ...], tuple[str, str]]:
    """What is filled in around the slice worked on; slices that it does not reach, beyond the next corrected ones, stay as they are.

    Args:
        prompter, encode, kept, is_inside, cancel: as in `propagate`.
        active: the slice worked on, with those corrected before it and those filled in so far.
    Returns:
        All slices filled in now, along the normal; why it ended ahead and back, empty where a corrected slice lies there.
    """
    places = {id(item): float(active.plane.distance_mm(item.plane.origin_ras)) for item in active.corrected}
    found: list[PropagatedSlice] = []
    ended, limits = [], []
    for direction in (1, -1):
        beyond = [item for item in active.corrected if direction * places[id(item)] > 0]
        neighbor = min(beyond, key=lambda item: abs(places[id(item)]), default=None)
        limits.append(np.inf if neighbor is None else abs(places[id(neighbor)]))
        if neighbor is not None:
            here, there = ((item.plane, item.probability) for item in (active, neighbor))
            found += propagate_between(prompter, encode, here, there, cancel)
            ended.append("")
        elif (active.probability > 0.5).any():
            start = (prompter, encode, active.plane, active.probability, _MOST_SLICES, direction)
            propagation = propagate(*start, kept, cancel=cancel, is_inside=is_inside)
            found += propagation.slices
            ended.append(propagation.ended)
        else:
            ended.append("the slice is empty")
    for item in active.propagated:
        place = float(active.plane.distance_mm(item.plane.origin_ras))
        if abs(place) > limits[0 if place > 0 else 1]:
            found.append(item)
    found.sort(key=lambda item: float(active.plane.distance_mm(item.plane.origin_ras)))
    return tuple(found), (ended[0], ended[1])
