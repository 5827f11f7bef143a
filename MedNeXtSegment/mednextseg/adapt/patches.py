"""A window out of a volume, wherever its center lies."""

from collections.abc import Sequence

import numpy as np


def cut_patch(values: np.ndarray, center_kji: Sequence[int], patch_kji: Sequence[int], mode: str) -> np.ndarray:
    """The window around a voxel, moved into the volume where it would leave it, and continued where the volume is smaller.

    Args:
        values: (..., K, J, I).
        center_kji: a voxel of it.
        patch_kji: size of the window.
        mode: how it is continued, as in numpy.pad.
    """
    shape = values.shape[-3:]
    starts = [max(0, min(c - n // 2, size - n)) for c, n, size in zip(center_kji, patch_kji, shape, strict=True)]
    cut = values[(..., *(slice(start, start + n) for start, n in zip(starts, patch_kji, strict=True)))]
    missing = [(0, n - size) for n, size in zip(patch_kji, cut.shape[-3:], strict=True)]
    return np.pad(cut, [(0, 0)] * (values.ndim - 3) + missing, mode=mode)
