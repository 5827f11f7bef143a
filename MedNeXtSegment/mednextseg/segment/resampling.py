"""Images onto other grids: separable spline resizing of aligned grids, and the general affine case."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry


@lru_cache(maxsize=32)
def axis_weights(length_in: int, length_out: int, order: int) -> np.ndarray:
    """(length_out, length_in) float32 matrix that resizes one axis by a spline of this order.

    The grids share their outer edges: output i lies at input (i + 0.5) * length_in / length_out - 0.5; beyond the first and last
    voxel centre the edge voxel goes on. Spline interpolation is linear and separable, so applying scipy's own zoom to the unit vectors
    yields its weights exactly (scikit-image's resize, which nnU-Net uses, is the same zoom).
    """
    unit = np.eye(length_in)
    zoomed = ndimage.zoom(unit, (length_out / length_in, 1), order=order, mode="nearest", grid_mode=True)
    weights = zoomed.astype(np.float32)
    weights.setflags(write=False)
    return weights


def resize(
    volume_kji: np.ndarray, shape_kji: Sequence[int], orders_kji: Sequence[int] = (3, 3, 3), clip: bool = False
) -> np.ndarray:
    """Resize a float32 volume to another number of voxels between the same outer edges; spline order for each axis.

    One matrix product an axis; the axis that shrinks most goes first. Equal to scipy.ndimage.zoom to float32 rounding.

    Args:
        volume_kji: float32 (K, J, I).
        shape_kji: voxels of the result.
        orders_kji: spline order along each axis.
        clip: keep the result within the input's range, as scikit-image does; where one axis has order 0, slice by slice across it.
    """
    if clip:
        coarse = tuple(axis for axis in range(3) if orders_kji[axis] == 0)
        in_plane = [volume_kji.shape[axis] if axis in coarse else n for axis, n in enumerate(shape_kji)]
        fine = tuple(axis for axis in range(3) if axis not in coarse)
        low, high = volume_kji.min(axis=fine, keepdims=True), volume_kji.max(axis=fine, keepdims=True)
        volume_kji = np.clip(resize(volume_kji, in_plane, orders_kji), low, high)
    factors = [n_out / n_in for n_out, n_in in zip(shape_kji, volume_kji.shape, strict=True)]
    for axis in np.argsort(factors):
        n_in, n_out = volume_kji.shape[axis], int(shape_kji[axis])
        if n_in != n_out:
            weights = axis_weights(n_in, n_out, orders_kji[axis])
            volume_kji = np.moveaxis(np.tensordot(weights, volume_kji, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(volume_kji, dtype=np.float32)


def resized_geometry(geometry: Geometry, shape_kji: Sequence[int]) -> Geometry:
    """The grid of `resize(array, shape_kji)` for an array that lies at `geometry`: same outer edges, other spacing."""
    scale_ijk = np.array(geometry.shape_ijk) / np.array(shape_kji[::-1])
    old_from_new = np.diag([*scale_ijk, 1.0])
    old_from_new[:3, 3] = (scale_ijk - 1) / 2
    return Geometry(tuple(shape_kji), geometry.ijk_to_ras @ old_from_new)


def resample_affine(volume_kji: np.ndarray, source: Geometry, target: Geometry, order: int) -> np.ndarray:
    """Interpolate a volume at the voxel centres of any other grid (rotated, sheared, ...); float32.

    Outside the source its edge voxels go on.
    """
    source_from_target = np.linalg.inv(source.ijk_to_ras) @ target.ijk_to_ras
    matrix_kji = source_from_target[:3, :3][::-1, ::-1]
    offset_kji = source_from_target[:3, 3][::-1]
    volume = volume_kji.astype(np.float32)
    return ndimage.affine_transform(volume, matrix_kji, offset_kji, target.shape_kji, order=order, mode="nearest")


def anatomical_grid(geometry: Geometry, orientation: str, spacing_kji_mm: Sequence[float]) -> Geometry:
    """The smallest grid along the anatomical axes that holds every voxel of a rotated or sheared one."""
    axes = np.zeros((3, 3))
    for column, letter in enumerate(orientation):
        row = "RASLPI".index(letter) % 3
        axes[row, column] = 1 if letter in "RAS" else -1
    corners = geometry.corners_ras() @ axes  # mm along the new I, J, K
    spacing_ijk = np.array(spacing_kji_mm[::-1])
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape_ijk = np.maximum(np.ceil((high - low) / spacing_ijk - 1e-6) + 1, 1).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing_ijk
    matrix[:3, 3] = axes @ (low - (shape_ijk - 1 - (high - low) / spacing_ijk) / 2 * spacing_ijk)
    return Geometry(tuple(shape_ijk[::-1]), matrix)
