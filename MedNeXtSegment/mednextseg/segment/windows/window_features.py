"""What a decision network gets to know of a window: its pooled intensities, and where in the volume it lies."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d

from mednextseg.segment.windows.layout import WindowGrid

# Cells along each axis of a window over which intensities are pooled.
_CELLS = 4
_POOLINGS = 3


def feature_count(channels: int, patch_kji: Sequence[int]) -> int:
    """How many numbers describe a window."""
    return channels * _POOLINGS * (prod(_cells(patch_kji)) + 1) + 3


def window_features(image_ckji: np.ndarray, grid: WindowGrid) -> Tensor:
    """(windows, features) float32, in the order of the grid.

    Mean, spread and maximum of each cell and of the whole window, and where its middle lies in the volume.

    Args:
        image_ckji: what the network looks at, padded.
        grid: of the windows.
    """
    rows = []
    for window in grid.windows:
        box = torch.from_numpy(np.ascontiguousarray(image_ckji[(slice(None), *window.slices(grid.patch_kji))]))
        sides = zip(window.start_kji, grid.patch_kji, grid.shape_kji, strict=True)
        middle = torch.tensor([(start + patch / 2) / n for start, patch, n in sides])
        rows.append(torch.cat([*_pooled(box, _cells(grid.patch_kji)), *_pooled(box, (1, 1, 1)), middle]))
    return torch.stack(rows)


def _pooled(box: Tensor, cells: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    mean = adaptive_avg_pool3d(box, cells)
    spread = (adaptive_avg_pool3d(box * box, cells) - mean * mean).clamp_min(0).sqrt()
    return mean.flatten(), spread.flatten(), adaptive_max_pool3d(box, cells).flatten()


def _cells(patch_kji: Sequence[int]) -> tuple[int, ...]:
    return tuple(min(_CELLS, n) for n in patch_kji)
