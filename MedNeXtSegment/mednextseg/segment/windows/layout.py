"""Where windows lie: the start of each along every axis, and which of them cover the volume side by side."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Window:
    """One placement of the patch on the padded network grid: start index along K, J, I."""

    start_kji: Shape

    def slices(self, patch_kji: Sequence[int]) -> tuple[slice, ...]:
        """The voxels of the window along K, J, I."""
        return tuple(slice(start, start + n) for start, n in zip(self.start_kji, patch_kji, strict=True))


@dataclass(frozen=True)
class WindowGrid:
    """All windows of a volume.

    Attributes:
        shape_kji: of the volume, at least one patch along each axis.
        patch_kji: of a window.
        starts_kji: start indices along each axis, ascending.
    """

    shape_kji: Shape
    patch_kji: Shape
    starts_kji: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @classmethod
    def laid(cls, shape_kji: Sequence[int], patch_kji: Sequence[int], overlap: float, layout: str = "even") -> "WindowGrid":
        """Lay windows over a volume by a rule of LAYOUTS; axes shorter than the patch count as padded to it."""
        padded = tuple(max(n, p) for n, p in zip(shape_kji, patch_kji, strict=True))
        starts = tuple(tuple(LAYOUTS[layout](n, p, overlap)) for n, p in zip(padded, patch_kji, strict=True))
        return cls(padded, tuple(patch_kji), starts)

    @property
    def count(self) -> int:
        return prod(len(starts) for starts in self.starts_kji)

    @property
    def windows(self) -> list[Window]:
        """In the order of their K start."""
        return [Window(start) for start in product(*self.starts_kji)]

    @property
    def covering_kji(self) -> tuple[tuple[int, ...], ...]:
        """Of the starts along each axis the fewest whose windows cover all of it, the first and the last among them."""
        return tuple(_covering(starts, n) for starts, n in zip(self.starts_kji, self.patch_kji, strict=True))


def window_starts(length: int, patch: int, overlap: float) -> list[int]:
    """Start indices along one axis: the fewest windows that overlap by at least `overlap`, evenly spread and rounded.

    nnU-Net's rule (compute_steps_for_sliding_window); `length` is at least `patch`. Single slices cannot overlap: each is visited once.
    """
    if patch == 1:
        return list(range(length))
    gaps = int(np.ceil((length - patch) / (patch * (1 - overlap))))
    if gaps <= 0:
        return [0]
    step = (length - patch) / gaps
    return [round(n * step) for n in range(gaps + 1)]


def dense_starts(length: int, patch: int, overlap: float) -> list[int]:
    """Start indices along one axis: equal whole steps from the first voxel on, the last one moved back to the edge (MONAI's rule)."""
    step = max(1, int(patch * (1 - overlap)))
    count = 1 + max(0, -(-(length - patch) // step))
    return [min(n * step, length - patch) for n in range(count)]


# By the card's `window_layout`.
LAYOUTS: dict[str, Callable[[int, int, float], list[int]]] = {"even": window_starts, "dense": dense_starts}


def _covering(starts: Sequence[int], patch: int) -> tuple[int, ...]:
    chosen = [starts[0]]
    while chosen[-1] < starts[-1]:
        chosen.append(starts[bisect_right(starts, chosen[-1] + patch) - 1])  # starts rise
    return tuple(chosen)
