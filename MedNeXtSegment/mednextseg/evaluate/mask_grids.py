"""Masks that cover only their own box, brought onto another grid."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.preprocess import resample_labels

# Headers of different programs round differently; a hundredth of a millimeter moves no voxel.
SAME_GRID_MM = 1e-2


def on_grid(mask_kji: np.ndarray, geometry: Geometry, grid: Geometry) -> tuple[np.ndarray, bool]:
    """The part of a mask that lies on a grid.

    Args:
        mask_kji: (K, J, I) at `geometry`; empty beyond its box.
        grid: where it is wanted, of any extent.
    Returns:
        bool array of the grid's shape, and whether the mask had to be resampled because the lattices differ.
    """
    start_kji = np.round(grid.ijk_from_ras(geometry.ijk_to_ras[:3, 3]))[::-1].astype(int)
    stop_kji = start_kji + mask_kji.shape
    if not grid.cropped(start_kji, stop_kji).matches(geometry, SAME_GRID_MM):
        return resample_labels((mask_kji > 0).astype(np.uint8), geometry, grid) > 0, bool(mask_kji.any())
    placed = np.zeros(grid.shape_kji, dtype=bool)
    first, last = np.clip(start_kji, 0, grid.shape_kji), np.clip(stop_kji, 0, grid.shape_kji)
    source = tuple(slice(a, b) for a, b in zip(first - start_kji, last - start_kji, strict=True))
    placed[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = mask_kji[source] > 0
    return placed, False
