"""An object by two methods that fail in different places: the network that completes it, and the random walk in three dimensions.

The network knows what objects look like, and overshoots where they end; the walk keeps to edges and to the shape of the slices that
are known.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from mednextseg.refine.completion.object_completion import ObjectCompletion
from mednextseg.refine.object_walk import ObjectWalk
from mednextseg.refine.slices.slice_plane import SlicePlane

_SUREST_NETWORK, _SUREST_WALK = 6.0, 5.0  # log odds at most; half of it where a method has ended
# Chosen on nine objects of validation lists that are not in the table of docs/developers/refine_evaluation.md.
_WALK_SHARE = 0.5
_DOUBT_BEYOND = 1.0  # log odds taken off the network's beyond the outermost known slices


def agreed(
    completion: ObjectCompletion, walk: ObjectWalk, known: dict[int, np.ndarray], is_inside: Callable[[SlicePlane], bool]
) -> dict[int, np.ndarray]:
    """{step: (H, W) float32 probability} of the slices that both together find, but for known ones.

    Args:
        completion, walk: of the same object, from the same known slices.
        known: {step: (H, W) probability}.
        is_inside: whether a plane cuts the volume.
    """
    walked = _walked(walk, known, is_inside)
    found = {}
    for step in sorted({*walked, *completion.found}):
        doubt = 0.0 if min(known) < step < max(known) else _DOUBT_BEYOND
        odds = (1 - _WALK_SHARE) * (_log_odds(completion.found.get(step), _SUREST_NETWORK) - doubt)
        odds = odds + _WALK_SHARE * _log_odds(walked.get(step), _SUREST_WALK)
        if (odds > 0).any():
            found[step] = (1 / (1 + np.exp(-odds))).astype(np.float32)
    return _without_islands(found, known)


def _walked(walk: ObjectWalk, known: dict[int, np.ndarray], is_inside: Callable[[SlicePlane], bool]) -> dict[int, np.ndarray]:
    """Between all known slices, and beyond the outermost where they are not empty."""
    found, steps = {}, sorted(known)
    for first, last in pairwise(steps):
        found.update(walk.between(first, last))
    for end, way in ((steps[0], -1), (steps[-1], 1)):
        if (known[end] > 0.5).any():
            found.update(walk.beyond(end, way, is_inside)[0])
    return found


def _without_islands(found: dict[int, np.ndarray], known: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Without slices beyond the outermost known ones that a slice without the object parts from them."""
    first, last = min(known), max(known)
    while first - 1 in found:
        first -= 1
    while last + 1 in found:
        last += 1
    return {step: probability for step, probability in found.items() if first <= step <= last}


def _log_odds(probability_rc: np.ndarray | None, most: float) -> np.ndarray:
    if probability_rc is None:
        return np.array(-most / 2)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probability_rc) - np.log1p(-probability_rc), -most, most)
