"""Preparing a volume by the steps of the model's own program, in its order, for models that are fed exactly so (MONAI)."""

import numpy as np
import torch
from torch import Tensor

from mednextseg.geometry import AxisMap, Geometry
from mednextseg.models.model_card import ModelCard
from mednextseg.models.preparation import CropForeground, Resample
from mednextseg.segment.prepare.intensity_steps import apply_intensity_step
from mednextseg.segment.prepare.monai_grid import lines_between, nearest_values, resampled_grid
from mednextseg.segment.prepare.prepared_volume import IndexBox, PreparedVolume, whole
from mednextseg.segment.prepare.taps import Taps
from mednextseg.segment.roi import RegionOfInterest


def prepare_by_steps(
    turned_ckji: np.ndarray,
    turned: Geometry,
    turn: AxisMap,
    source: Geometry,
    card: ModelCard,
    roi: RegionOfInterest | None = None,
) -> PreparedVolume:
    """Do the card's steps, one after the other.

    Args:
        turned_ckji: (channels, K, J, I) along the network's axes; not changed.
        turned: where it lies.
        turn: from the stored axes to these.
        source: the grid the volume came on.
        card: with `preparation`.
        roi: only the part of the prepared image around it is looked at; means, ranges and crops are those of the whole image.
    Raises:
        ValueError: where the region lies outside the volume or outside its foreground.
    """
    image, grid, crop, seen, resampling = _after_all_steps(turned_ckji, turned, card)
    cropped = turned.cropped(crop.start, crop.stop)
    if roi is not None:
        box = _around(roi, seen or whole(grid), grid, card)
        start = seen.start if seen else (0, 0, 0)
        part = tuple(slice(a - o, b - o) for a, b, o in zip(box.start, box.stop, start, strict=True))
        image, seen = image[(slice(None), *part)].contiguous(), box
    return PreparedVolume(
        image_ckji=image.numpy(),
        network_geometry=grid.cropped(seen.start, seen.stop) if seen else grid,
        source=source,
        turned=turned,
        turn=turn,
        rotated=False,
        crop=crop,
        resampled=grid if seen else None,
        seen=seen,
        lines_kji=lines_between(grid, cropped),
        single_precision=resampling is not None and resampling.single_precision,
    )


def _after_all_steps(
    turned_ckji: np.ndarray, turned: Geometry, card: ModelCard
) -> tuple[Tensor, Geometry, IndexBox, IndexBox | None, Resample | None]:
    """The image; the resampled grid; the box of `turned` that was resampled, and that of the grid which was kept; the resampling."""
    image = torch.from_numpy(np.ascontiguousarray(turned_ckji, dtype=np.float32).copy())
    grid, crop, seen, resampling = turned, whole(turned), None, None
    for step in card.preparation:
        if isinstance(step, CropForeground):
            box = _foreground(turned_ckji if step.of == "volume" else image.numpy(), step)
            image = image[(slice(None), *box.slices)].contiguous()
            if resampling is None:
                crop, grid = box, grid.cropped(box.start, box.stop)
            else:
                seen = box
        elif isinstance(step, Resample):
            resampling, cropped = step, grid
            grid = resampled_grid(grid, step)
            image = _resampled(image, cropped, grid, step)
        else:
            image = apply_intensity_step(image, step)
    return image, grid, crop, seen, resampling


def final_grid(turned: Geometry, card: ModelCard, roi: RegionOfInterest | None = None) -> Geometry:
    """The grid that the network looks at, before any margin is cut off: for plans, which have no voxels."""
    grid = turned
    for step in card.preparation:
        if isinstance(step, Resample):
            grid = resampled_grid(grid, step)
    if roi is None:
        return grid
    box = _around(roi, whole(grid), grid, card)
    return grid.cropped(box.start, box.stop)


def _resampled(image_ckji: Tensor, source: Geometry, target: Geometry, step: Resample) -> Tensor:
    """Linear interpolation goes axis by axis: both grids have the same axes."""
    if step.interpolation == "nearest":
        dtype = torch.float32 if step.single_precision else torch.float64
        return torch.from_numpy(np.stack([nearest_values(channel, source, target, dtype) for channel in image_ckji.numpy()]))
    lines = lines_between(source, target)
    for axis in sorted(range(3), key=lambda axis: target.shape_kji[axis] / source.shape_kji[axis]):
        taps = Taps.stepping(source.shape_kji[axis], target.shape_kji[axis], lines[axis])
        lower = image_ckji.index_select(axis + 1, torch.from_numpy(taps.lower))
        if taps.upper_share.any():
            upper = image_ckji.index_select(axis + 1, torch.from_numpy(taps.upper))
            share = torch.from_numpy(taps.upper_share).view([-1 if a == axis else 1 for a in range(3)])
            lower = torch.lerp(lower, upper, share.expand(lower.shape))
        image_ckji = lower
    return image_ckji


def _foreground(image_ckji: np.ndarray, step: CropForeground) -> IndexBox:
    looked_at = image_ckji if step.channels is None else image_ckji[list(step.channels)]
    mask = (looked_at > 0).any(axis=0)
    start, stop = [], []
    for axis, (length, margin) in enumerate(zip(mask.shape, step.margin_kji, strict=True)):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (int(filled[0]), int(filled[-1])) if filled.size else (0, length - 1)
        start.append(max(0, first - margin))
        stop.append(min(length, last + margin + 1))
    return IndexBox(tuple(start), tuple(stop))


def _around(roi: RegionOfInterest, kept: IndexBox, grid: Geometry, card: ModelCard) -> IndexBox:
    """The region with a quarter patch of context on either side, and never less than a patch, within `kept`."""
    roi_start, roi_stop = roi.index_bounds(grid)
    patch = np.array(card.patch_size_kji)
    margin = np.ceil(np.maximum(patch / 4, (patch - (roi_stop - roi_start)) / 2)).astype(int)
    start, stop = np.maximum(kept.start, roi_start - margin), np.minimum(kept.stop, roi_stop + margin)
    if (stop <= start).any():
        raise ValueError(
            "the region of interest holds no foreground, and this model cuts off the rest; move it onto the patient."
        )
    return IndexBox(tuple(start.tolist()), tuple(stop.tolist()))
