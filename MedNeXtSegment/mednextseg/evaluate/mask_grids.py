"""Masks and labelmaps that cover only their own box, brought onto another grid."""

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.prepared_volume import resample_labels

# Headers of different programs round differently; a hundredth of a millimeter moves no voxel.
SAME_GRID_MM = 1e-2
# A grid over two files that lie far apart could be of any size; beyond this it is the placement that is wrong.
_MOST_VOXELS = 1_000_000_000


def on_grid(mask_kji: np.ndarray, geometry: Geometry, grid: Geometry) -> tuple[np.ndarray, bool]:
    """The part of a mask that lies on a grid.

    Args:
        mask_kji: (K, J, I) at `geometry`; empty beyond its box.
        grid: where it is wanted, of any extent.
    Returns:
        bool array of the grid's shape, and whether the mask had to be resampled because the lattices differ.
    """
    placed, is_resampled = labels_on_grid((mask_kji > 0).astype(np.uint8), geometry, grid)
    return placed > 0, is_resampled


def labels_on_grid(labelmap_kji: np.ndarray, geometry: Geometry, grid: Geometry) -> tuple[np.ndarray, bool]:
    """As `on_grid`, for labels: same dtype, 0 beyond the labelmap's box."""
    start_kji = np.round(grid.ijk_from_ras(geometry.ijk_to_ras[:3, 3]))[::-1].astype(int)
    stop_kji = start_kji + labelmap_kji.shape
    if not grid.cropped(start_kji, stop_kji).matches(geometry, SAME_GRID_MM):
        return resample_labels(labelmap_kji, geometry, grid), bool(labelmap_kji.any())
    placed = np.zeros(grid.shape_kji, dtype=labelmap_kji.dtype)
    first, last = np.clip(start_kji, 0, grid.shape_kji), np.clip(stop_kji, 0, grid.shape_kji)
    source = tuple(slice(a, b) for a, b in zip(first - start_kji, last - start_kji, strict=True))
    placed[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = labelmap_kji[source]
    return placed, False


def joint_grid(reference: Geometry, prediction: Geometry, prediction_kji: np.ndarray) -> Geometry:
    """The reference's lattice, as far as its box and the labeled voxels of the prediction reach.

    Raises:
        ValueError: where the two lie so far apart that no grid can hold both.
    """
    boxes = ndimage.find_objects((prediction_kji != 0).astype(np.uint8))
    if not boxes:
        return reference
    # A voxel more on every side, as the prediction's voxels may be the larger ones.
    low, high = ([getattr(part, end) + step for part in boxes[0]] for end, step in (("start", -1), ("stop", 1)))
    corners_ijk = reference.ijk_from_ras(prediction.cropped(low, high).corners_ras())
    start_ijk = np.minimum(np.floor(corners_ijk.min(axis=0)), 0)
    stop_ijk = np.maximum(np.ceil(corners_ijk.max(axis=0)) + 1, reference.shape_ijk)
    if np.prod(stop_ijk - start_ijk) > max(_MOST_VOXELS, 8 * np.prod(reference.shape_ijk, dtype=float)):
        raise ValueError(f"the prediction {prediction} lies too far from the reference {reference}; check where the files lie.")
    return reference.cropped(start_ijk[::-1].astype(int), stop_ijk[::-1].astype(int))
