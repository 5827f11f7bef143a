"""Class values on the network's grid -> one label a voxel on the cropped image's grid, slab by slab.

Values are interpolated linearly between the two grids (which share their outer edges) and reduced at once, so that the full-size class
values never exist. Same result as resizing everything by order 1 and then taking the maximum.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Class values of the target grid that are worked on at once; small enough to stay in the processor's cache share.
_MAX_VALUES_AT_ONCE = 32_000_000


class LabelReduction:
    """Collects slabs in the order of K and fills a labelmap.

    Args:
        network_shape_kji: grid the slabs come on.
        target_shape_kji: grid of the labelmap.
        label_values: the number to write for each output channel; for "softmax" channel 0 is the background.
        activation: "softmax": the largest value wins (the first among equals); "sigmoid": every channel above its threshold is painted
            in order, later ones over earlier ones.
        threshold: for "sigmoid": 0 for logits, 0.5 for probabilities.
        nearest_axis: along which values come from the nearest voxel instead of being interpolated; None for no axis.
    """

    def __init__(
        self,
        network_shape_kji: Sequence[int],
        target_shape_kji: Sequence[int],
        label_values: Sequence[int],
        activation: str = "softmax",
        threshold: float = 0.0,
        nearest_axis: int | None = None,
    ) -> None:
        dtype = np.uint8 if max(label_values) <= np.iinfo(np.uint8).max else np.int16
        self.labelmap_kji = np.zeros(target_shape_kji, dtype=dtype)
        self._values = torch.tensor(label_values, dtype=torch.uint8 if dtype == np.uint8 else torch.int16)
        self._activation, self._threshold = activation, threshold
        self._network_depth = network_shape_kji[0]
        k_taps = _nearest_taps if nearest_axis == 0 else _linear_taps
        self._k_lower, self._k_upper, self._k_fraction = k_taps(network_shape_kji[0], target_shape_kji[0])
        self._nearest_axis = nearest_axis
        self._pending: Tensor | None = None  # planes of the network grid that later target planes still need
        self._pending_start = 0
        self._next_target = 0

    def add(self, k_start: int, values: Tensor) -> None:
        """Take the class values (C, planes, J, I) of the network planes from k_start on; each call continues the last one."""
        self._pending = values if self._pending is None else torch.cat([self._pending, values], dim=1)
        available = k_start + values.shape[1]
        ready = int(np.searchsorted(self._k_upper, available - 1, side="right"))
        rows, columns = self.labelmap_kji.shape[1:]
        step = max(1, _MAX_VALUES_AT_ONCE // (values.shape[0] * rows * columns))
        for first in range(self._next_target, ready, step):
            last = min(first + step, ready)
            self.labelmap_kji[first:last] = self._reduce(self._interpolated(first, last)).numpy()
        self._next_target = ready
        keep_from = int(self._k_lower[ready]) if ready < len(self._k_lower) else available
        drop = min(max(0, keep_from - self._pending_start), self._pending.shape[1])
        self._pending = self._pending[:, drop:].clone()
        self._pending_start += drop

    def _interpolated(self, first: int, last: int) -> Tensor:
        """Class values (C, last - first, J, I) of target planes [first, last)."""
        lower = self._pending[:, torch.from_numpy(self._k_lower[first:last] - self._pending_start)]
        fraction = torch.from_numpy(self._k_fraction[first:last])[None, :, None, None]
        if bool((fraction > 0).any()):
            upper = self._pending[:, torch.from_numpy(self._k_upper[first:last] - self._pending_start)]
            lower = torch.lerp(lower, upper, fraction)
        grid = self.labelmap_kji.shape[1:]
        if self._nearest_axis in (1, 2):
            axis = self._nearest_axis + 1  # behind the classes
            nearest, _, _ = _nearest_taps(lower.shape[axis], grid[self._nearest_axis - 1])
            lower = lower.index_select(axis, torch.from_numpy(nearest))
        return lower if lower.shape[2:] == grid else F.interpolate(lower, size=grid, mode="bilinear", align_corners=False)

    def _reduce(self, values: Tensor) -> Tensor:
        if self._activation == "softmax":
            best = values[0].clone()
            labels = torch.full(best.shape, int(self._values[0]), dtype=self._values.dtype)
            for channel in range(1, values.shape[0]):
                wins = values[channel] > best
                labels.masked_fill_(wins, int(self._values[channel]))
                torch.maximum(best, values[channel], out=best)
            return labels
        labels = torch.zeros(values.shape[1:], dtype=self._values.dtype)
        for channel in range(values.shape[0]):
            labels.masked_fill_(values[channel] > self._threshold, int(self._values[channel]))
        return labels


def _linear_taps(length_in: int, length_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper source plane of each target plane and the share of the upper one; edges go on beyond the outermost centres."""
    position = np.clip((np.arange(length_out) + 0.5) * length_in / length_out - 0.5, 0, length_in - 1)
    lower = np.floor(position).astype(np.int64)
    fraction = (position - lower).astype(np.float32)
    return lower, np.where(fraction > 0, np.minimum(lower + 1, length_in - 1), lower), fraction


def _nearest_taps(length_in: int, length_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest source plane of each target plane, in the form of `_linear_taps`."""
    nearest = np.minimum(np.floor((np.arange(length_out) + 0.5) * length_in / length_out).astype(np.int64), length_in - 1)
    return nearest, nearest, np.zeros(length_out, dtype=np.float32)
