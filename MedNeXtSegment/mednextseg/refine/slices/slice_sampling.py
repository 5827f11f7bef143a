"""Voxels onto a plane and back: the values of a volume on a SlicePlane, and a slice's mask in a segment's own grid."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane, cut_thickness_mm, slab_thickness_mm


@dataclass(frozen=True, eq=False)
class SliceEdit:
    """What a slice's mask does to a segment.

    Attributes:
        voxels: (N,) ascending flat indices into the segment's (K, J, I) array: the voxels that belong to the slice; the others are not to
            be changed. Few, even where the plane runs through all of the grid.
        mask: (N,) bool, which of them belong to the object.
    """

    voxels: np.ndarray
    mask: np.ndarray

    def changes(self, segment_kji: np.ndarray) -> np.ndarray:
        """Flat indices of the voxels of a bool (K, J, I) segment that writing the slice changes; each once."""
        return self.voxels[segment_kji.reshape(-1)[self.voxels] != self.mask]

    def apply(self, segment_kji: np.ndarray) -> None:
        """Write the slice into a contiguous (K, J, I) segment, in place."""
        segment_kji.reshape(-1)[self.voxels] = self.mask


def sample_slice(
    volume_kji: np.ndarray, geometry: Geometry, plane: SlicePlane, order: int = 1, outside: float | None = None
) -> np.ndarray:
    """The volume's values at the plane's pixel centers.

    Args:
        volume_kji: (K, J, I).
        geometry: of the volume in the world, that is with its parent transforms applied (`Geometry.transformed`).
        plane: where to sample.
        order: 1 linear, 0 nearest.
        outside: value beyond the volume; None for the volume's smallest finite value.
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
    fill = smallest_finite(volume_kji) if outside is None else outside
    # Up to half a voxel beyond the outermost centers the image still is: the edge is repeated there, not faded out.
    limits = np.array(volume_kji.shape)[:, None, None] - 1.0
    inside = ((indices >= -0.5 - 1e-6) & (indices <= limits + 0.5 + 1e-6)).all(axis=0)
    # The volume is read as it is: a copy in another type would cost more than the slice.
    values = ndimage.map_coordinates(volume_kji, np.clip(indices, 0.0, limits), np.float32, order, mode="nearest")
    return np.where(inside, values, np.float32(fill))


def smallest_finite(volume_kji: np.ndarray) -> float:
    """The smallest intensity that is a finite number; 0 where there is none."""
    smallest = float(volume_kji.min())
    if np.isfinite(smallest):
        return smallest
    return float(np.min(volume_kji, where=np.isfinite(volume_kji), initial=np.inf)) if np.isfinite(volume_kji).any() else 0.0


def slice_edit(
    probability_rc: np.ndarray, plane: SlicePlane, segment_geometry: Geometry, is_cut: bool = False
) -> SliceEdit | None:
    """The voxels of a segment's grid that a slice stands for, and what it says about them.

    A voxel belongs to the slice where its center projects onto the slice's pixels and lies within half a slice: half of the
    thicker of the plane's slab and the segment's own layers. Of two planes one layer apart each voxel belongs to one only.

    Args:
        probability_rc: (H, W) in [0, 1]; interpolated linearly and cut at 0.5.
        plane: of the slice, in the world.
        segment_geometry: of the segment, in the world; it may differ from the volume's in spacing, directions and extent.
        is_cut: take every voxel that the plane cuts, so that a view of an oblique plane shows the slice without holes.
    Returns:
        The edit; None where the slice passes by the segment's grid.
    """
    least = cut_thickness_mm if is_cut else slab_thickness_mm
    thickness = max(plane.thickness_mm, least(segment_geometry, plane.normal_ras))
    start, stop = _reached_block(plane, thickness, segment_geometry)
    if start is None:
        return None
    matrix = segment_geometry.ijk_to_ras
    axes = np.stack([plane.normal_ras, plane.row_direction_ras, plane.col_direction_ras])
    weights, shifts = axes @ matrix[:3, :3], axes @ (matrix[:3, 3] - plane.origin_ras)
    ijk = _slab_voxels(weights[0], float(shifts[0]), thickness, start[::-1], stop[::-1])
    rows, cols = ((weights[n] @ ijk + shifts[n]) / plane.spacing_rc_mm[n - 1] for n in (1, 2))
    height, width = plane.shape_rc
    covered = (rows > -0.5 - 1e-6) & (rows < height - 0.5 + 1e-6) & (cols > -0.5 - 1e-6) & (cols < width - 0.5 + 1e-6)
    if not covered.any():
        return None
    where = np.clip(rows[covered], 0, height - 1), np.clip(cols[covered], 0, width - 1)
    mask = _values_at(probability_rc, *where) > 0.5
    voxels = np.ravel_multi_index(tuple(ijk[::-1, covered]), segment_geometry.shape_kji)
    if (voxels[1:] < voxels[:-1]).any():  # not where the plane is one of the grid's own
        order = np.argsort(voxels)
        voxels, mask = voxels[order], mask[order]
    return SliceEdit(voxels, mask)


def _slab_voxels(slope: np.ndarray, shift_mm: float, thickness_mm: float, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """(3, N) int IJK of the voxels of a block whose centers lie in the slab: slope @ ijk + shift_mm within half the thickness.

    Along the axis nearest to the normal a slab meets each line of voxels a few times at most, so only these are looked at.
    """
    across = int(np.abs(slope).argmax())
    others = [axis for axis in (2, 1, 0) if axis != across]
    lines = np.meshgrid(*(np.arange(start[axis], stop[axis]) for axis in others), indexing="ij")
    on_line = sum(slope[axis] * line for axis, line in zip(others, lines, strict=True)) + shift_mm
    middle = np.floor(-on_line / slope[across]).astype(int)
    reach = int(np.floor(thickness_mm / 2 / abs(slope[across]) + 1e-5))
    found = []
    for step in range(-reach, reach + 2):
        position = middle + step
        distance = slope[across] * position + on_line
        # Half-open, so that a voxel exactly between two slices belongs to one of them.
        inside = (distance > -thickness_mm / 2 + 1e-6 * thickness_mm) & (distance <= thickness_mm / 2 + 1e-6 * thickness_mm)
        inside &= (position >= start[across]) & (position < stop[across])
        if inside.any():
            ijk = np.empty((3, int(inside.sum())), np.int64)
            ijk[across] = position[inside]
            for axis, line in zip(others, lines, strict=True):
                ijk[axis] = line[inside]
            found.append(ijk)
    return np.concatenate(found, axis=1) if found else np.empty((3, 0), np.int64)


def _values_at(probability_rc: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Linear interpolation; where all the places are pixel centers, the pixels themselves."""
    nearest = np.round(rows), np.round(cols)
    rows, cols = (np.where(np.abs(x - n) < 1e-6, n, x) for x, n in zip((rows, cols), nearest, strict=True))
    if np.array_equal(rows, nearest[0]) and np.array_equal(cols, nearest[1]):
        return probability_rc[rows.astype(int), cols.astype(int)]
    return ndimage.map_coordinates(probability_rc.astype(np.float32), (rows, cols), order=1, mode="nearest")


def _reached_block(plane: SlicePlane, thickness_mm: float, geometry: Geometry):
    """Half-open KJI range of voxels that can lie in the slab; (None, None) where there are none."""
    height, width = plane.shape_rc
    edges = plane.ras_from_rc([[r, c] for r in (-0.5, height - 0.5) for c in (-0.5, width - 0.5)])
    slab = np.concatenate([edges + side * thickness_mm / 2 * plane.normal_ras for side in (-1, 1)])
    indices_kji = geometry.ijk_from_ras(slab)[:, ::-1]
    start = np.maximum(np.floor(indices_kji.min(axis=0) - 1e-3).astype(int), 0)
    stop = np.minimum(np.ceil(indices_kji.max(axis=0) + 1e-3).astype(int) + 1, geometry.shape_kji)
    return (start, stop) if (stop > start).all() else (None, None)
