"""All slices of a segment asked for anew, each by prompts made from what the segment has there."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.auto_prompts import prompts_from, shape_between
from mednextseg.refine.prompter import Cancel, PromptCancelledError, Prompter, Result
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.propagation import Encode
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.slices.voxel_box import VoxelBox

# An answer that agrees less with what was there (Dice), or is surer of nothing, is another object: the slice stays as it is.
_LEAST_OVERLAP, _LEAST_SCORE = 0.5, 0.3
_LONGEST_GAP = 4  # slices without the segment between slices with it, which are filled in

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class SegmentSlice:
    """What a segment has on a plane, (H, W) probability; of a gap, what its neighbors make likely there."""

    plane: SlicePlane
    mask_rc: np.ndarray


@dataclass(frozen=True, eq=False)
class Repaired:
    """A slice with its prompts and the answer to them."""

    slice: SegmentSlice
    prompts: Prompts
    result: Result


def slices_of(segment_kji: np.ndarray, geometry: Geometry, box: VoxelBox, plane: SlicePlane) -> list[SegmentSlice]:
    """The slices parallel to a plane that a segment lies on, along the normal, with the gaps between them as far as they are short.

    Args:
        segment_kji, geometry: (K, J, I) bool and its grid in the world.
        box: all its voxels lie in it.
        plane: one of the slices, wherever it is.
    """
    if box.is_empty:
        return []
    ends = [
        [(start - 0.5, stop - 0.5)[side] for side in (0, 1)] for start, stop in zip(box.start_kji, box.stop_kji, strict=True)
    ]
    corners = np.stack(np.meshgrid(*reversed(ends)), axis=-1).reshape(-1, 3)
    steps = plane.distance_mm(geometry.ras_from_ijk(corners)) / plane.thickness_mm
    planes = [plane.shifted(n * plane.thickness_mm) for n in range(int(np.floor(steps.min())), int(np.ceil(steps.max())) + 1)]
    masks = [sample_slice(segment_kji, geometry, there, outside=0.0) for there in planes]
    _fill_gaps(masks)
    return [SegmentSlice(there, mask) for there, mask in zip(planes, masks, strict=True) if (mask > 0.5).any()]


def _fill_gaps(masks: list[np.ndarray]) -> None:
    full = [number for number, mask in enumerate(masks) if (mask > 0.5).any()]
    for first, last in pairwise(full):
        if last - first <= _LONGEST_GAP + 1:
            for number in range(first + 1, last):
                masks[number] = shape_between(masks[first], masks[last], (number - first) / (last - first))


def repaired(
    prompter: Prompter,
    encode: Encode,
    slices: list[SegmentSlice],
    cancel: Cancel | None = None,
    progress: Progress | None = None,
) -> list[Repaired]:
    """The slices whose answers agree well enough with what was there.

    Args:
        prompter, encode: as in `propagate`.
        slices: from `slices_of`.
        cancel: asked before each slice and while one is answered.
        progress: called before each slice with how many are done, and how many there are.
    Raises:
        PromptCancelledError: when `cancel` said so.
    """
    found = []
    for number, item in enumerate(slices):
        if progress is not None:
            progress(number, len(slices))
        if cancel is not None and cancel():
            raise PromptCancelledError("the repair was cancelled.")
        prompts = prompts_from(item.mask_rc, prompter.info.prompt_kinds)
        result = prompter.predict(encode(item.plane), prompts, None, cancel)
        if _agrees(result, item.mask_rc > 0.5):
            found.append(Repaired(item, prompts.with_mask(None), result))
    return found


def _agrees(result: Result, before_rc: np.ndarray) -> bool:
    total = int(result.mask.sum()) + int(before_rc.sum())
    overlap = 2.0 * int((result.mask & before_rc).sum()) / total
    return overlap >= _LEAST_OVERLAP and not result.score < _LEAST_SCORE  # NaN: no opinion
