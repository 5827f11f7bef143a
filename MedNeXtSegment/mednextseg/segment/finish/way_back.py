"""Class values on their way from what the network saw to the grid of the crop, for models prepared step by step."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mednextseg.segment.prepare.monai_grid import nearest_values
from mednextseg.segment.prepare.prepared_volume import PreparedVolume

_PLANES_AT_ONCE = 8

Slabs = Iterator[tuple[int, Tensor]]


def activated(slabs: Slabs, activation: str) -> Slabs:
    """Slabs of logits as probabilities, "softmax" or "sigmoid"."""
    for k_start, values in slabs:
        yield k_start, values.softmax(dim=0) if activation == "softmax" else values.sigmoid()


def on_resampled_grid(slabs: Slabs, prepared: PreparedVolume) -> Slabs:
    """Slabs of the part that the network saw, between zeros on all of the resampled grid; as they are where it saw everything."""
    if prepared.seen is None:
        yield from slabs
        return
    box, shape_kji = prepared.seen, prepared.resampled.shape_kji
    values = None
    for k_start, values in slabs:
        if k_start == 0:
            yield from _zeros(values, 0, box.start[0], shape_kji)
        whole = values.new_zeros(len(values), values.shape[1], *shape_kji[1:])
        whole[(slice(None), slice(None), *box.slices[1:])] = values
        yield k_start + box.start[0], whole
    yield from _zeros(values, box.stop[0], shape_kji[0], shape_kji)


def nearest_labels(labelmap_kji: np.ndarray, prepared: PreparedVolume) -> np.ndarray:
    """Labels of the resampled grid at the voxels of the crop: those of the nearest voxel."""
    grid = prepared.resampled or prepared.network_geometry
    dtype = torch.float32 if prepared.single_precision else torch.float64
    return nearest_values(labelmap_kji, grid, prepared.crop_geometry, dtype)


def _zeros(like: Tensor, k_start: int, k_stop: int, shape_kji: tuple[int, int, int]) -> Slabs:
    for k in range(k_start, k_stop, _PLANES_AT_ONCE):
        yield k, like.new_zeros(len(like), min(_PLANES_AT_ONCE, k_stop - k), *shape_kji[1:])
