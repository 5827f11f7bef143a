"""Class values -> labels on a graphics card: only labels, a byte a voxel, come back to main memory."""

import numpy as np
import torch
from torch import Tensor

from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.prepare.taps import Taps

# Interpolated class values that exist at once, on the card.
_BYTES_AT_ONCE = 256_000_000
_FLOAT_BYTES = 4


class LabelReductionOnDevice(LabelReduction):
    """The same labels as those of `LabelReduction`, of values on any torch device.

    Every value is interpolated: a card does that faster than it finds out which voxels need it. Where two classes are equal to the
    last bits, rounding may choose the other one.
    """

    _held: Tensor | None = None  # planes of values that later planes of the labelmap still need

    def add(self, k_start: int, values: Tensor) -> None:
        """Take the class values (C, planes, J, I) of the network planes from k_start on; each call continues the last one."""
        available = k_start + values.shape[1]
        planes = values if self._held is None else torch.cat([self._held, values], dim=1)
        first = available - planes.shape[1]
        targets = self._ready_targets(available)
        at_once = max(1, _BYTES_AT_ONCE // (_FLOAT_BYTES * len(values) * self.labelmap_kji[0].size))
        for start in range(targets.start, targets.stop, at_once):
            some = np.arange(start, min(start + at_once, targets.stop))
            taps = (self._k_taps.part(some).counted_from(first), self._j_taps, self._i_taps)
            interpolated = planes
            for axis, axis_taps in enumerate(taps, start=1):
                interpolated = _between(interpolated, axis_taps, axis)
            self.labelmap_kji[some[0] : some[-1] + 1] = self._labels(interpolated)
        # A copy, so that the planes which are done with are given back.
        self._held = planes[:, self._needed_from(targets.stop) - first :].clone()

    def _labels(self, values: Tensor) -> np.ndarray:
        """Labels (planes, J, I) of class values (C, planes, J, I)."""
        if self._activation == "softmax" and not self._labels_overlap:
            return np.array(self._label_values, dtype=self.labelmap_kji.dtype)[_to_host(values.argmax(dim=0), len(values))]
        is_above = values > self._threshold
        numbers = torch.arange(len(values), device=values.device).view(-1, 1, 1, 1)
        if self._labels_overlap:
            return (is_above << numbers).sum(dim=0).cpu().numpy().astype(self.labelmap_kji.dtype)
        codes = (is_above * (numbers + 1)).amax(dim=0)
        return np.array([0, *self._label_values], dtype=self.labelmap_kji.dtype)[_to_host(codes, len(values) + 1)]


def _between(values: Tensor, taps: Taps, axis: int) -> Tensor:
    """Values interpolated along one axis; as they are where every target is a source."""
    length = values.shape[axis]
    if not taps.upper_share.any() and np.array_equal(taps.lower, np.arange(length)):
        return values
    lower = values.index_select(axis, torch.from_numpy(taps.lower).to(values.device))
    if not taps.upper_share.any():
        return lower
    upper = values.index_select(axis, torch.from_numpy(taps.upper).to(values.device))
    share = torch.from_numpy(taps.upper_share).to(values.device)
    return torch.lerp(lower, upper, share.view([-1 if a == axis else 1 for a in range(values.ndim)]))


def _to_host(codes: Tensor, count: int) -> np.ndarray:
    """Codes below `count`, in as few bytes as they fit into."""
    return codes.to(torch.uint8 if count <= np.iinfo(np.uint8).max + 1 else torch.int16).cpu().numpy()
