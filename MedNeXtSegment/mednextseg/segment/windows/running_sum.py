"""Weighted sums of overlapping windows, for the planes that are still being worked on: a ring of planes about one patch deep."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from mednextseg.segment.windows.large_pages import prefer_large_pages

# Finished planes leave in portions: their averages are a copy, which a whole slab of many labels would double. Below 32 MB the
# allocator hands out the last portion's memory again instead of new pages.
PORTION_BYTES = 24_000_000


@lru_cache(maxsize=8)
def gaussian_weights(patch_kji: tuple[int, int, int]) -> Tensor:
    """float32 (K, J, I): a Gaussian of sigma = patch / 8 with maximum 1, as in nnU-Net; the outer product of three 1-D ones."""
    profiles = []
    for n in patch_kji:
        unit = np.zeros(n)
        unit[n // 2] = 1
        profile = gaussian_filter1d(unit, n / 8, mode="constant")
        profiles.append(profile / profile.max())
    weights = torch.from_numpy(np.einsum("k,j,i->kji", *profiles)).float()
    # Rounding to zero would leave a voxel that only one window corner covers without any weight.
    return weights.clamp_min(float(weights[weights > 0].min()))


@lru_cache(maxsize=8)
def centered_gaussian_weights(patch_kji: tuple[int, int, int]) -> Tensor:
    """float32 (K, J, I): exp(-x^2 / 2 sigma^2) about the middle of the patch, sigma = patch / 8, at least 0.001, as in MONAI."""
    weights = torch.ones(())
    for n in patch_kji:
        x = torch.arange(-(n - 1) / 2, (n - 1) / 2 + 1, dtype=torch.float32)
        weights = weights.unsqueeze(-1) * torch.exp(-(x**2) / (2 * (n / 8) ** 2))
    return weights.clamp_min(max(float(weights.min()), 1e-3))


WINDOW_WEIGHTS = {"gaussian": gaussian_weights, "gaussian_centered": centered_gaussian_weights, "constant": torch.ones}


class RunningSum:
    """Plane k of the volume lies at index k modulo the ring's depth, so that nothing moves when planes leave.

    Args:
        num_outputs: class values a voxel.
        shape_kji: of the volume; K may be any length.
        patch_kji: of the windows.
        sum_on: a torch device, or "disk" for a memory-mapped temporary file.
        planes_ahead: how far behind the plane of the last `finish_before` windows may start that are added meanwhile.
        weights: of a window's voxels: "gaussian", "gaussian_centered" or "constant".
    """

    def __init__(
        self,
        num_outputs: int,
        shape_kji: Sequence[int],
        patch_kji: tuple[int, int, int],
        sum_on: str,
        planes_ahead: int = 0,
        weights: str = "gaussian",
    ) -> None:
        self._depth = patch_kji[0] + planes_ahead
        self._plane_shape = (num_outputs, *shape_kji[1:])  # K first: a plane is one piece of memory, and of the file
        self._plane_bytes = 4 * math.prod(self._plane_shape)
        self._device = "cpu" if sum_on == "disk" else sum_on
        self._file = tempfile.TemporaryFile() if sum_on == "disk" else None
        if self._file is None:
            self._values = prefer_large_pages(torch.empty(self._depth, *self._plane_shape, device=sum_on)).zero_()
        else:
            self._file.truncate(self._depth * self._plane_bytes)
        self._weights = torch.zeros(self._depth, *shape_kji[1:], device=self._device)
        self._start = 0
        self._window_weights = WINDOW_WEIGHTS[weights](patch_kji).to(self._device)

    def __enter__(self) -> "RunningSum":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, start_kji: tuple[int, int, int], values: Tensor, offset_kji: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Add the values (outputs, K, J, I) of a window, or of a part of it from an offset on, with the weights they have in the window.

        The window begins at or after the planes that have left.
        """
        values = values.to(self._device, torch.float32).transpose(0, 1)
        size_kji = values.shape[0], *values.shape[2:]
        k, j, i = (start + offset for start, offset in zip(start_kji, offset_kji, strict=True))
        part = tuple(slice(offset, offset + n) for offset, n in zip(offset_kji, size_kji, strict=True))
        rows, columns = slice(j, j + size_kji[1]), slice(i, i + size_kji[2])
        window_weights = self._window_weights[part]
        for planes, slots in self._pieces(k, k + size_kji[0]):
            within = slice(planes.start - k, planes.stop - k)
            weights = window_weights[within]
            self._sums(slots)[:, :, rows, columns].addcmul_(values[within], weights[:, None])
            self._weights[slots, rows, columns] += weights

    def finish_before(self, k_stop: int) -> Iterator[tuple[int, Tensor]]:
        """Hand on the averages (outputs, planes, J, I) of the planes before k_stop, with the first plane's index, and forget them.

        They lie on the device of the sums.
        """
        step = max(1, PORTION_BYTES // self._plane_bytes)
        for first in range(self._start, k_stop, step):
            for planes, slots in self._pieces(first, min(first + step, k_stop)):
                # Skipped windows leave zeros over zero weight: equal logits, which the reduction reads as background.
                weights = self._weights[slots].clamp_min(torch.finfo(torch.float32).tiny)
                yield planes.start, (self._sums(slots) / weights[:, None]).transpose(0, 1)
                self._sums(slots).zero_()
                self._weights[slots] = 0
        self._start = max(self._start, k_stop)

    def _sums(self, slots: slice) -> Tensor:
        """(slots, outputs, J, I), to be written to."""
        if self._file is None:
            return self._values[slots]
        shape = (slots.stop - slots.start, *self._plane_shape)
        return torch.from_numpy(np.memmap(self._file, np.float32, "r+", slots.start * self._plane_bytes, shape))

    def _pieces(self, k_start: int, k_stop: int) -> Iterator[tuple[slice, slice]]:
        """The planes from k_start to k_stop and their slots, in pieces that do not wrap around the ring; single planes of a file.

        A file is mapped piece by piece, because a mapping counts as memory where the size of a process is limited.
        """
        longest = self._depth if self._file is None else 1
        while k_start < k_stop:
            slot = k_start % self._depth
            length = min(k_stop - k_start, self._depth - slot, longest)
            yield slice(k_start, k_start + length), slice(slot, slot + length)
            k_start += length
