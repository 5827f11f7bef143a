"""Which windows a run looks at: the plan of positions, and what to do with each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Decision = Literal["skip", "full"]


@dataclass(frozen=True)
class Window:
    """One placement of the patch on the padded network grid: start index along K, J, I."""

    start_kji: tuple[int, int, int]


class WindowPolicy(Protocol):
    """Plans the windows of a volume and decides on each; `FullPolicy` is the reference that all others are measured against."""

    name: str

    def starts(self, length: int, patch: int, overlap: float) -> list[int]:
        """Start indices along one axis; `length` is at least `patch`."""

    def plan(self, image_ckji: np.ndarray, patch_kji: Sequence[int], overlap: float) -> list[Window]:
        """Windows in the order of their K start, covering every voxel at least once."""

    def decide(self, image_ckji: np.ndarray, window: Window, patch_kji: Sequence[int]) -> Decision:
        """ "full" runs the network; "skip" leaves the window's share of the result background."""


class FullPolicy:
    """Every window, evenly spread (nnU-Net's rule), none skipped."""

    name = "full"

    def starts(self, length: int, patch: int, overlap: float) -> list[int]:
        return window_starts(length, patch, overlap)

    def plan(self, image_ckji: np.ndarray, patch_kji: Sequence[int], overlap: float) -> list[Window]:
        starts = [self.starts(n, p, overlap) for n, p in zip(image_ckji.shape[1:], patch_kji, strict=True)]
        return [Window((k, j, i)) for k in starts[0] for j in starts[1] for i in starts[2]]

    def decide(self, image_ckji: np.ndarray, window: Window, patch_kji: Sequence[int]) -> Decision:
        return "full"


class DensePolicy(FullPolicy):
    """Every window, in equal whole steps from the first voxel on, the last one moved back to the edge (MONAI's rule)."""

    name = "dense"

    def starts(self, length: int, patch: int, overlap: float) -> list[int]:
        step = max(1, int(patch * (1 - overlap)))
        count = 1 + max(0, -(-(length - patch) // step))
        return [min(n * step, length - patch) for n in range(count)]


# By the card's `window_layout`.
POLICIES: dict[str, type[FullPolicy]] = {"even": FullPolicy, "dense": DensePolicy}


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
