"""Class values on the network's grid -> one label a voxel on the cropped image's grid, plane by plane.

Values are interpolated linearly between the two grids (which share their outer edges) and reduced at once, so that the full-size class
values never exist. Same result as resizing everything by order 1 and then taking the maximum, for less: interpolation is a convex
combination, so where the eight voxels around a point have one label, that is its label. Only the others are interpolated.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mednextseg.segment.prepare.taps import Taps

# Points interpolated at once: their class values stay in the processor's cache.
_POINTS_AT_ONCE = 8192


class LabelReduction:
    """Collects slabs in the order of K and fills a labelmap.

    Args:
        network_shape_kji: grid the slabs come on.
        target_shape_kji: grid of the labelmap.
        label_values: the number to write for each output channel; for "softmax" channel 0 is the background.
        activation: "softmax": the largest value wins (the first among equals); "sigmoid": every channel above its threshold is painted
            in order, later ones over earlier ones.
        threshold: for "sigmoid": 0 for logits, 0.5 for probabilities.
        labels_overlap: for "sigmoid": a voxel gets a number of which bit n is set where channel n is above the threshold; see
            `mednextseg.segment.finish.layers`.
        nearest_axis: along which values come from the nearest voxel instead of being interpolated; None for no axis.
        lines_kji: where target voxels lie on the network's grid, as (start, step) along each axis; None for grids that share their
            outer edges.
    """

    def __init__(
        self,
        network_shape_kji: Sequence[int],
        target_shape_kji: Sequence[int],
        label_values: Sequence[int],
        activation: str = "softmax",
        threshold: float = 0.0,
        labels_overlap: bool = False,
        nearest_axis: int | None = None,
        lines_kji: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        dtype = np.uint8 if max(label_values) <= np.iinfo(np.uint8).max else np.int16
        self._label_values, self._activation, self._threshold, self._labels_overlap = (
            label_values,
            activation,
            threshold,
            labels_overlap,
        )
        self._labels_of = lambda codes: codes
        if labels_overlap:
            dtype = _bits_dtype(len(label_values))
            self._codes = partial(_bits, threshold=threshold)
        elif activation == "softmax":
            self._codes, self._labels_of = _winners, np.array(label_values, dtype=dtype).take
        else:
            self._codes = partial(_painted, threshold=threshold)
            self._labels_of = np.array([0, *label_values], dtype=dtype).take
        self.labelmap_kji = np.zeros(target_shape_kji, dtype=dtype)
        lengths = list(zip(network_shape_kji, target_shape_kji, strict=True))
        if lines_kji is not None:
            taps = [Taps.stepping(*pair, line) for pair, line in zip(lengths, lines_kji, strict=True)]
        else:
            taps = [Taps.nearest(*pair) if axis == nearest_axis else Taps.linear(*pair) for axis, pair in enumerate(lengths)]
        self._k_taps, self._j_taps, self._i_taps = taps
        self._network_planes = network_shape_kji[0]
        self._planes: dict[int, _ClassPlane] = {}  # planes of the network grid that later target planes still need
        self._next_target = 0

    def add(self, k_start: int, values: Tensor) -> None:
        """Take the class values (C, planes, J, I) of the network planes from k_start on; each call continues the last one.

        The values are not copied: they must not change afterwards.
        """
        values_ckji, threads = values.numpy(), torch.get_num_threads()
        with ThreadPoolExecutor(threads) as pool:
            for k, plane in enumerate(np.moveaxis(values_ckji, 1, 0), start=k_start):
                codes = np.concatenate(list(pool.map(self._codes, np.array_split(plane, threads, axis=1))))
                self._planes[k] = _ClassPlane(plane, codes)
            targets = self._ready_targets(k_start + values_ckji.shape[1])
            bands = [band for band in np.array_split(np.arange(self.labelmap_kji.shape[1]), threads) if band.size]
            list(pool.map(lambda task: self._fill_rows(*task), product(targets, bands)))
        needed_from = self._needed_from(targets.stop)
        self._planes = {k: plane for k, plane in self._planes.items() if k >= needed_from}

    def _ready_targets(self, available: int) -> range:
        """Planes of the labelmap, from the first that is not filled on, that the first `available` planes of values suffice for."""
        targets = range(self._next_target, int(np.searchsorted(self._k_taps.upper, available - 1, side="right")))
        self._next_target = targets.stop
        return targets

    def _needed_from(self, target: int) -> int:
        """The first plane of values that this plane of the labelmap and later ones need."""
        return int(self._k_taps.lower[target]) if target < len(self._k_taps.lower) else self._network_planes

    def _fill_rows(self, target: int, rows: np.ndarray) -> None:
        """Write a band of consecutive rows of one plane of the labelmap."""
        j_taps = self._j_taps.part(rows)
        source = slice(j_taps.lower[0], j_taps.upper[-1] + 1)
        j_taps = j_taps.counted_from(source.start)
        lower, upper = (self._planes[taps[target]].rows(source) for taps in (self._k_taps.lower, self._k_taps.upper))
        smallest, largest = np.minimum(lower.codes, upper.codes), np.maximum(lower.codes, upper.codes)
        for axis, taps in ((0, j_taps), (1, self._i_taps)):
            smallest = np.minimum(*taps.both(smallest, axis))
            largest = np.maximum(*taps.both(largest, axis))
        undecided = np.flatnonzero(smallest != largest)
        if undecided.size:
            corners = [
                (plane, share) for plane, share in zip((lower, upper), self._k_taps.shares(target), strict=True) if share
            ]
            if len(corners) > 1 and undecided.size > lower.codes.size // 2:  # cheaper than to look up every point in both
                (first, share_of_first), (second, share_of_second) = corners
                blend = _ClassPlane(share_of_first * first.values + share_of_second * second.values, lower.codes)
                corners = [(blend, np.float32(1))]
            codes = smallest.reshape(-1)
            for first in range(0, undecided.size, _POINTS_AT_ONCE):
                points = undecided[first : first + _POINTS_AT_ONCE]
                codes[points] = self._codes(self._interpolated(corners, points, j_taps))
        self.labelmap_kji[target, rows[0] : rows[-1] + 1] = self._labels_of(smallest)

    def _interpolated(self, planes: list[tuple["_ClassPlane", np.float32]], points: np.ndarray, j_taps: Taps) -> np.ndarray:
        """Class values (C, points) at flat indices of a band of rows; `planes` are those around it, with their shares."""
        row, column = np.divmod(points, self.labelmap_kji.shape[2])
        width = planes[0][0].codes.shape[1]
        total = None
        for j, j_share in j_taps.at(row):
            for i, i_share in self._i_taps.at(column):
                index, share = j * width + i, j_share * i_share
                for plane, k_share in planes:
                    part = plane.values.reshape(len(plane.values), -1).take(index, axis=1)
                    part *= share * k_share
                    total = part if total is None else np.add(total, part, out=total)
        return total


@dataclass(frozen=True)
class _ClassPlane:
    """One plane of the network grid: class values (C, J, I), and the code of each voxel's label."""

    values: np.ndarray
    codes: np.ndarray

    def rows(self, rows: slice) -> "_ClassPlane":
        """A band of it; nothing is copied."""
        return _ClassPlane(self.values[:, rows], self.codes[rows])


def _winners(values: np.ndarray) -> np.ndarray:
    """The channel of the largest value (C, ...) -> (...), the first among equals; several times faster than argmax over axis 0."""
    best = values[0].copy()
    codes = np.zeros(best.shape, dtype=_code_dtype(len(values)))
    wins, code = np.empty(best.shape, dtype=bool), np.empty_like(codes)
    for channel in range(1, len(values)):
        np.greater(values[channel], best, out=wins)
        np.maximum(best, values[channel], out=best)
        _raise_codes(codes, wins, channel, code)
    return codes


def _painted(values: np.ndarray, threshold: float) -> np.ndarray:
    """One more than the last channel above the threshold, 0 where none is: (C, ...) -> (...)."""
    codes = np.zeros(values.shape[1:], dtype=_code_dtype(len(values) + 1))
    code = np.empty_like(codes)
    for channel in range(len(values)):
        _raise_codes(codes, values[channel] > threshold, channel + 1, code)
    return codes


def _bits(values: np.ndarray, threshold: float) -> np.ndarray:
    """Bit n is set where channel n is above the threshold: (C, ...) -> (...)."""
    dtype = _bits_dtype(len(values))
    codes = np.zeros(values.shape[1:], dtype=dtype)
    for channel in range(len(values)):
        codes |= (values[channel] > threshold).astype(dtype) << dtype(channel)
    return codes


def _raise_codes(codes: np.ndarray, where: np.ndarray, code: int, scratch: np.ndarray) -> None:
    """codes[where] = code for a code above all before: without a mask, which processors handle one by one."""
    np.multiply(where, codes.dtype.type(code), out=scratch)
    np.maximum(codes, scratch, out=codes)


def _bits_dtype(bits: int) -> type[np.unsignedinteger]:
    return np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32


def _code_dtype(codes: int) -> type[np.unsignedinteger]:
    return np.uint8 if codes <= np.iinfo(np.uint8).max + 1 else np.uint16
