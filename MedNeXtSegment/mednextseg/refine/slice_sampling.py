"""Voxels onto a plane and back: the values of a volume on a SlicePlane, and a slice's mask in a segment's own grid."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.refine.slice_plane import SlicePlane, slab_thickness_mm


@dataclass(frozen=True, eq=False)
class SliceEdit:
    """What a slice's mask does to a segment.

    Attributes:
        start_kji: first voxel of the part of the segment's grid that the slice touches.
        covered_kji: bool, the voxels that belong to the slice; the others are not to be changed.
        mask_kji: bool, which of them belong to the object.
    """

    start_kji: tuple[int, int, int]
    covered_kji: np.ndarray
    mask_kji: np.ndarray

    def apply(self, segment_kji: np.ndarray) -> None:
        """Write the slice into a segment, in place."""
        part = segment_kji[tuple(slice(a, a + n) for a, n in zip(self.start_kji, self.covered_kji.shape, strict=True))]
        part[self.covered_kji] = self.mask_kji[self.covered_kji]


def sample_slice(
    volume_kji: np.ndarray, geometry: Geometry, plane: SlicePlane, order: int = 1, outside: float | None = None
) -> np.ndarray:
    """The volume's values at the plane's pixel centres.

    Args:
        volume_kji: (K, J, I).
        geometry: of the volume in the world, that is with its parent transforms applied (`Geometry.transformed`).
        plane: where to sample.
        order: 1 linear, 0 nearest.
        outside: value beyond the volume; None for the volume's smallest value.
    Returns:
        (H, W) float32.
    """
    if volume_kji.shape != geometry.shape_kji:
        raise ValueError(f"the array is {volume_kji.shape}, its geometry says {geometry.shape_kji}; they must agree.")
    corners = plane.ras_from_rc([[0, 0], [plane.shape_rc[0] - 1, 0], [0, plane.shape_rc[1] - 1]])
    start, down, across = geometry.ijk_from_ras(corners)[:, ::-1]
    rows, cols = (np.linspace(0.0, 1.0, n) if n > 1 else np.zeros(1) for n in plane.shape_rc)
    indices = start[:, None, None] + (down - start)[:, None, None] * rows[:, None] + (across - start)[:, None, None] * cols
    nearest = np.round(indices)
    indices = np.where(np.abs(indices - nearest) < 1e-6, nearest, indices)
    fill = float(volume_kji.min()) if outside is None else outside
    # Up to half a voxel beyond the outermost centres the image still is: the edge is repeated there, not faded out.
    limits = np.array(volume_kji.shape)[:, None, None] - 1.0
    inside = ((indices >= -0.5 - 1e-6) & (indices <= limits + 0.5 + 1e-6)).all(axis=0)
    part, offset = _needed_part(volume_kji, np.clip(indices, 0.0, limits))
    values = ndimage.map_coordinates(part, np.clip(indices, 0.0, limits) - offset, order=order, mode="nearest")
    return np.where(inside, values, fill).astype(np.float32)


def _needed_part(volume_kji: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest block around the indices as float32, so that a slice of a large volume does not convert all of it."""
    low = np.floor(indices.min(axis=(1, 2))).astype(int)
    high = np.ceil(indices.max(axis=(1, 2))).astype(int) + 1
    block = volume_kji[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return block.astype(np.float32), low[:, None, None]


def slice_edit(probability_rc: np.ndarray, plane: SlicePlane, segment_geometry: Geometry) -> SliceEdit | None:
    """The voxels of a segment's grid that a slice stands for, and what it says about them.

    A voxel belongs to the slice where its centre projects onto the slice's pixels and lies within half a slice: half of the
    thicker of the plane's slab and the segment's own layers. Of two planes one layer apart each voxel belongs to one only.

    Args:
        probability_rc: (H, W) in [0, 1]; interpolated linearly and cut at 0.5.
        plane: of the slice, in the world.
        segment_geometry: of the segment, in the world; it may differ from the volume's in spacing, directions and extent.
    Returns:
        The edit; None where the slice passes by the segment's grid.
    """
    thickness = max(plane.thickness_mm, slab_thickness_mm(segment_geometry, plane.normal_ras))
    start, stop = _reached_block(plane, thickness, segment_geometry)
    if start is None:
        return None
    k, j, i = np.ogrid[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    matrix = segment_geometry.ijk_to_ras
    offset = matrix[:3, 3] - plane.origin_ras
    axes = np.stack([plane.normal_ras, plane.row_direction_ras, plane.col_direction_ras])
    distance, rows_mm, cols_mm = (
        weights[0] * i + weights[1] * j + weights[2] * k + shift
        for weights, shift in zip(axes @ matrix[:3, :3], axes @ offset, strict=True)
    )
    rows, cols = rows_mm / plane.spacing_rc_mm[0], cols_mm / plane.spacing_rc_mm[1]
    height, width = plane.shape_rc
    # Half-open, so that a voxel exactly between two slices belongs to one of them.
    covered = (distance > -thickness / 2 + 1e-6 * thickness) & (distance <= thickness / 2 + 1e-6 * thickness)
    covered &= (rows > -0.5 - 1e-6) & (rows < height - 0.5 + 1e-6) & (cols > -0.5 - 1e-6) & (cols < width - 0.5 + 1e-6)
    if not covered.any():
        return None
    mask = np.zeros(covered.shape, bool)
    where = np.clip(rows[covered], 0, height - 1), np.clip(cols[covered], 0, width - 1)
    where = [np.where(np.abs(x - np.round(x)) < 1e-6, np.round(x), x) for x in where]
    mask[covered] = ndimage.map_coordinates(probability_rc.astype(np.float32), where, order=1, mode="nearest") > 0.5
    return SliceEdit(tuple(int(n) for n in start), covered, mask)


def _reached_block(plane: SlicePlane, thickness_mm: float, geometry: Geometry):
    """Half-open KJI range of voxels that can lie in the slab; (None, None) where there are none."""
    height, width = plane.shape_rc
    edges = plane.ras_from_rc([[r, c] for r in (-0.5, height - 0.5) for c in (-0.5, width - 0.5)])
    slab = np.concatenate([edges + side * thickness_mm / 2 * plane.normal_ras for side in (-1, 1)])
    indices_kji = geometry.ijk_from_ras(slab)[:, ::-1]
    start = np.maximum(np.floor(indices_kji.min(axis=0) - 1e-3).astype(int), 0)
    stop = np.minimum(np.ceil(indices_kji.max(axis=0) + 1e-3).astype(int) + 1, geometry.shape_kji)
    return (start, stop) if (stop > start).all() else (None, None)
