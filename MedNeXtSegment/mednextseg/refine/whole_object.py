"""A whole object from the slices that the user worked on: filled in between them, and carried on beyond them until it ends by itself.

By the prompter's network for that, where it has one, together with a random walk; by the walk, and its answers slice by slice, where not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mednextseg.refine.completion.network_input import said_points
from mednextseg.refine.completion.object_completion import KnownSlices, ObjectCompletion
from mednextseg.refine.completion.second_opinion import agreed
from mednextseg.refine.object_walk import Look, ObjectWalk
from mednextseg.refine.prompter import Cancel, PromptCancelledError, Prompter, obey_prompts
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.propagation import Encode, Kept, PropagatedSlice, widened_box, without_apart
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.undo_states import ActiveSlice

_SUREST_NETWORK, _SUREST_WALK = 6.0, 5.0  # log odds at most, of the network and of the walk
_MOST_OPEN = 3  # prompts on a slice; after more the user has made it what it should be
# Of the log odds on an open slice, where voxels of the cube are no larger than pixels; the rest is the answer's.
_NETWORK_SHARE = 0.7
_LEAST_NETWORK_PX = 200  # of smaller objects the network sees too little to follow them: the walk alone is better


@dataclass(frozen=True, eq=False)
class FilledIn:
    """What came of it.

    Attributes:
        slices: all slices filled in now, along the normal.
        ended: why it ended ahead and back, empty where a corrected slice lies there.
        redrawn: {step: (H, W) float32 probability} of slices worked on that were drawn anew; step 0 is the one worked on last.
    """

    slices: tuple[PropagatedSlice, ...]
    ended: tuple[str, str]
    redrawn: dict[int, np.ndarray] = field(default_factory=dict)


def whole_object(
    prompter: Prompter,
    encode: Encode,
    look: Look,
    active: ActiveSlice,
    kept: Kept,
    is_inside: Callable[[SlicePlane], bool],
    cancel: Cancel | None = None,
) -> FilledIn:
    """What is filled in around the slice worked on.

    A prompter that completes objects fills in all of it anew. With others, slices that the one worked on does not reach, beyond the next
    corrected ones, stay as they are.

    Slices that were answered after few prompts are drawn anew with all others: one click seldom makes a wrong slice right, and what
    is known of the other slices says more about it.

    Args:
        prompter, encode: what turns prompts into a mask, and a plane into an embedding.
        look, cancel: as in ObjectWalk.
        active: the slice worked on, with those corrected before it and those filled in so far; one of them not empty.
        kept, is_inside: as in `propagate`.
    """
    worked_on = {0: active, **{step_of(active, item.plane): item for item in active.corrected}}
    known = {step: item.answer for step, item in worked_on.items()}
    if prompter.completion is None:
        walk = ObjectWalk(look, active.plane, known, cancel)
        return FilledIn(*_carried_on(prompter, encode, walk, active, known, kept, is_inside, cancel))
    said = {step: said_points(item.state.prompts, 1.0) for step, item in worked_on.items()}
    is_open = frozenset(step for step, item in worked_on.items() if _is_open(item))
    completion = ObjectCompletion(prompter.completion, look, active.plane, KnownSlices(known, said, is_open), is_inside, cancel)
    share = _NETWORK_SHARE * min(
        1.0, min(active.plane.spacing_rc_mm) / completion.voxel_mm
    )  # coarse voxels would blur a fine slice
    redrawn = {}
    for step, probability in completion.redrawn.items():
        odds = (1 - share) * _log_odds(known[step], _SUREST_NETWORK) + share * _log_odds(probability, _SUREST_NETWORK)
        redrawn[step] = obey_prompts((1 / (1 + np.exp(-odds))).astype(np.float32), worked_on[step].state.prompts)
    if any((part > 0.5).any() for part in {**known, **redrawn}.values()):
        known = {**known, **redrawn}
    walk = ObjectWalk(look, active.plane, known, cancel)
    return FilledIn(*_completed(walk, completion, active, known, kept, is_inside), {step: known[step] for step in redrawn})


def _is_open(item: ActiveSlice) -> bool:
    prompts = item.state.prompts
    count = len(prompts.points_rc) + len(prompts.strokes) + (prompts.box is not None)
    return 0 < count <= _MOST_OPEN and bool((item.answer > 0.5).any())


def _carried_on(
    prompter: Prompter, encode: Encode, walk: ObjectWalk, active: ActiveSlice, known, kept: Kept, is_inside, cancel
) -> tuple[tuple[PropagatedSlice, ...], tuple[str, str]]:
    """The same without such a network."""
    found: dict[int, np.ndarray] = {}
    ended, limits = [], []
    for way in (1, -1):
        neighbor = min((abs(step) for step in known if way * step > 0), default=None)
        limits.append(np.inf if neighbor is None else neighbor)
        if neighbor is not None:
            found.update(walk.between(0, way * neighbor))
            ended.append("")
        elif (active.probability > 0.5).any():
            slices, why = _beyond(prompter, encode, walk, way, active.probability, is_inside, cancel)
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
        step = step_of(active, item.plane)
        if abs(step) > limits[0 if step > 0 else 1]:
            filled[step] = item
    return tuple(filled[step] for step in sorted(filled)), (ended[0], ended[1])


def _completed(
    walk: ObjectWalk, completion: ObjectCompletion, active: ActiveSlice, known: dict[int, np.ndarray], kept: Kept, is_inside
) -> tuple[tuple[PropagatedSlice, ...], tuple[str, str]]:
    """The same by the network that sees all known slices at once: all of it is filled in anew, as each slice says more about the others."""
    found = agreed(completion, walk, known, is_inside)
    slices = [
        PropagatedSlice(walk.plane_at(step), probability, float("nan"))
        for step, probability in found.items()
        if kept(walk.plane_at(step)) is None
    ]
    ended = []
    for way in (1, -1):
        last = way * max(way * step for step in (*known, *found))
        if any(way * step > 0 for step in known):
            ended.append("")
        elif not (active.probability > 0.5).any():
            ended.append("the slice is empty")
        elif not is_inside(walk.plane_at(last + way)):
            ended.append("the volume ends")
        else:
            ended.append(completion.ended.get(way, "the object ends"))
    return tuple(slices), (ended[0], ended[1])


def _beyond(prompter: Prompter, encode: Encode, walk: ObjectWalk, way: int, mask_rc: np.ndarray, is_inside, cancel):
    """{step: (H, W) float32 probability} beyond step 0, and why it ended."""
    slices, why = walk.beyond(0, way, is_inside)
    if np.count_nonzero(mask_rc > 0.5) < _LEAST_NETWORK_PX:
        return slices, why
    slices = _drawn_by_network(prompter, encode, walk, way, mask_rc, slices, is_inside, cancel)
    has_more = is_inside(walk.plane_at(way * (len(slices) + 1)))
    return slices, "the object ends" if has_more or not slices else "the volume ends"


def _drawn_by_network(
    prompter: Prompter, encode: Encode, walk: ObjectWalk, way: int, mask_rc: np.ndarray, walked, is_inside, cancel
) -> dict[int, np.ndarray]:
    """{step: (H, W) float32 probability} beyond step 0: what the network makes of the mask before, together with the walk and the looks.

    Where the walk has ended, within its reach, the network goes on only as far as it is surer than that.
    """
    found: dict[int, np.ndarray] = {}
    previous, step = np.asarray(mask_rc, np.float32), way
    while (abs(step) <= walk.reach or step in walked) and is_inside(walk.plane_at(step)):
        if cancel is not None and cancel():
            raise PromptCancelledError("the whole object was cancelled.")
        prompts = Prompts(box=widened_box(previous > 0.5), mask=previous)
        own = prompter.predict(encode(walk.plane_at(step)), prompts, None, cancel).probability
        expected = walked.get(step, np.zeros_like(own))
        odds = _log_odds(own, _SUREST_NETWORK) + _log_odds(expected, _SUREST_WALK) + walk.looks_log_odds(step)
        previous = without_apart((1 / (1 + np.exp(-odds))).astype(np.float32), previous > 0.5)
        if not (previous > 0.5).any():
            break
        found[step] = previous
        step += way
    return found


def _log_odds(probability_rc: np.ndarray, most: float) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probability_rc) - np.log1p(-probability_rc), -most, most)


def step_of(active: ActiveSlice, plane: SlicePlane) -> int:
    return round(float(active.plane.distance_mm(plane.origin_ras)) / active.plane.thickness_mm)
