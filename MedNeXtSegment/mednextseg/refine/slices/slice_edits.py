"""A slice's mask in a segment's own grid: the voxels that it stands for, and what it says about them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane, cut_thickness_mm, slab_thickness_mm
from mednextseg.refine.slices.voxel_box import VoxelBox


@dataclass(frozen=True, eq=False)
class SliceEdit:
    """What a slice's mask does to a segment.

    Attributes:
        voxels: (N,) ascending flat indices into the segment's (K, J, I) array: the voxels that belong to the slice; the others are not to
            be changed.
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


def slice_edit(
    probability_rc: np.ndarray,
    plane: SlicePlane,
    segment_geometry: Geometry,
    is_cut: bool = False,
    within: VoxelBox | None = None,
) -> SliceEdit | None:
    """The voxels of a segment's grid that a slice stands for, and what it says about them.

    A voxel belongs to the slice where its center projects onto the slice's pixels and lies within half a slice: half of the
    thicker of the plane's slab and the segment's own layers. Of two planes one layer apart each voxel belongs to one only.

    Args:
        probability_rc: (H, W) in [0, 1]; interpolated linearly and cut at 0.5.
        plane: of the slice, in the world.
        segment_geometry: of the segment, in the world; it may differ from the volume's in spacing, directions and extent.
        is_cut: take every voxel that the plane cuts, so that a view of an oblique plane shows the slice without holes.
        within: leave out voxels beyond this box; None for no box.
    Returns:
        The edit; None where the slice passes by the segment's grid, or by the box.
    """
    thickness_mm = _thickness_mm(plane, segment_geometry, is_cut)
    height, width = plane.shape_rc
    box = _reached(plane, thickness_mm, segment_geometry, (-0.5, -0.5, height - 0.5, width - 0.5))
    box = box if within is None else box.common(within)
    if box.is_empty:
        return None
    matrix = segment_geometry.ijk_to_ras
    axes = np.stack([plane.normal_ras, plane.row_direction_ras, plane.col_direction_ras])
    weights, shifts = axes @ matrix[:3, :3], axes @ (matrix[:3, 3] - plane.origin_ras)
    own = _own_axes(weights, box, (thickness_mm, *plane.spacing_rc_mm))
    if own is None:
        ijk = _slab_voxels(weights[0], float(shifts[0]), thickness_mm, box)
        rows, cols = ((weights[n] @ ijk + shifts[n]) / plane.spacing_rc_mm[n - 1] for n in (1, 2))
        covered = _is_covered(rows, height) & _is_covered(cols, width)
        voxels = np.ravel_multi_index(tuple(ijk[::-1, covered]), segment_geometry.shape_kji)
        mask = _values_at(probability_rc, rows[covered], cols[covered]) > 0.5
        if (voxels[1:] < voxels[:-1]).any():
            order = np.argsort(voxels)
            voxels, mask = voxels[order], mask[order]
    else:
        voxels, mask = _in_layers(probability_rc, plane, segment_geometry, (weights, shifts, thickness_mm), box, own)
    return SliceEdit(voxels, mask) if len(voxels) else None


def object_box(probability_rc: np.ndarray, plane: SlicePlane, segment_geometry: Geometry, is_cut: bool = False) -> VoxelBox:
    """A box that holds every voxel that `slice_edit` of the same slice would give to the object."""
    rows, cols = (np.flatnonzero((probability_rc > 0.5).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return VoxelBox()
    # Between a pixel of the object and one beside it, the object ends.
    edges = rows[0] - 1, cols[0] - 1, rows[-1] + 1, cols[-1] + 1
    return _reached(plane, _thickness_mm(plane, segment_geometry, is_cut), segment_geometry, edges)


def edits_of(
    slices: list[tuple[np.ndarray, SlicePlane, bool]], segment_geometry: Geometry, segment_box: VoxelBox
) -> list[SliceEdit]:
    """What some slices do to a segment all of whose voxels lie in a box; voxels that none of them can change are left out.

    Args:
        slices: probability_rc, plane and is_cut of each, as in slice_edit.
        segment_geometry, segment_box: of the segment.
    Returns:
        The edits of those that meet the segment's grid.
    """
    box = segment_box
    for probability_rc, plane, is_cut in slices:
        box = box.joined(object_box(probability_rc, plane, segment_geometry, is_cut))
    edits = [slice_edit(probability_rc, plane, segment_geometry, is_cut, box) for probability_rc, plane, is_cut in slices]
    return [edit for edit in edits if edit is not None]


def _thickness_mm(plane: SlicePlane, geometry: Geometry, is_cut: bool) -> float:
    least = cut_thickness_mm if is_cut else slab_thickness_mm
    return max(plane.thickness_mm, least(geometry, plane.normal_ras))


def _reached(
    plane: SlicePlane, thickness_mm: float, geometry: Geometry, edges_rc: tuple[float, float, float, float]
) -> VoxelBox:
    """The voxels that can lie in the slab over a rectangle of pixels, by first row, first column, last row, last column."""
    edges = plane.ras_from_rc([[r, c] for r in edges_rc[::2] for c in edges_rc[1::2]])
    slab = np.concatenate([edges + side * thickness_mm / 2 * plane.normal_ras for side in (-1, 1)])
    indices_kji = geometry.ijk_from_ras(slab)[:, ::-1]
    start = np.maximum(np.floor(indices_kji.min(axis=0) - 1e-3).astype(int), 0)
    stop = np.minimum(np.ceil(indices_kji.max(axis=0) + 1e-3).astype(int) + 1, geometry.shape_kji)
    return VoxelBox(tuple(start.tolist()), tuple(stop.tolist()))


def _own_axes(weights: np.ndarray, box: VoxelBox, limits_mm: tuple[float, float, float]) -> tuple[int, int, int] | None:
    """Along which of I, J and K the distance from the plane, rows and columns grow, where each grows along one of its own only."""
    growth_mm = np.abs(weights) * np.array(box.stop_kji[::-1])
    axes = tuple(np.abs(weights).argmax(axis=1).tolist())
    growth_mm[range(3), axes] = 0
    is_own = len(set(axes)) == 3 and (growth_mm.sum(axis=1) < 1e-7 * np.array(limits_mm)).all()
    return axes if is_own else None


def _in_layers(
    probability_rc: np.ndarray,
    plane: SlicePlane,
    geometry: Geometry,
    projection: tuple,
    box: VoxelBox,
    axes: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and mask as in SliceEdit, on a plane of the grid's own: by lines, not voxel by voxel."""
    weights, shifts, thickness_mm = projection
    numbers = [np.arange(box.start_kji[2 - axis], box.stop_kji[2 - axis]) for axis in axes]
    along = [weights[n, axis] * numbers[n] + shifts[n] for n, axis in enumerate(axes)]
    numbers[0] = numbers[0][_is_in_slab(along[0], thickness_mm)]
    places = [along[n] / plane.spacing_rc_mm[n - 1] for n in (1, 2)]
    for n, place in enumerate(places):
        covered = _is_covered(place, plane.shape_rc[n])
        numbers[n + 1], places[n] = numbers[n + 1][covered], place[covered]
    mask_rc = _values_at(probability_rc, *np.broadcast_arrays(places[0][:, None], places[1][None, :])) > 0.5
    strides = [int(np.prod(geometry.shape_kji[3 - axis :])) for axis in axes]
    layers, rows, cols = (line * stride for line, stride in zip(numbers, strides, strict=True))
    voxels = layers[:, None, None] + rows[:, None] + cols
    order = sorted(range(3), key=lambda n: -axes[n])  # K, J, I: ascending
    return voxels.transpose(order).reshape(-1), np.broadcast_to(mask_rc, voxels.shape).transpose(order).reshape(-1)


def _slab_voxels(slope: np.ndarray, shift_mm: float, thickness_mm: float, box: VoxelBox) -> np.ndarray:
    """(3, N) int IJK of the voxels of a box whose centers lie in the slab: slope @ ijk + shift_mm within half the thickness.

    Along the axis nearest to the normal a slab meets each line of voxels a few times at most, so only these are looked at.
    """
    start, stop = box.start_kji[::-1], box.stop_kji[::-1]
    across = int(np.abs(slope).argmax())
    others = [axis for axis in (2, 1, 0) if axis != across]
    lines = np.meshgrid(*(np.arange(start[axis], stop[axis]) for axis in others), indexing="ij")
    on_line = sum(slope[axis] * line for axis, line in zip(others, lines, strict=True)) + shift_mm
    middle = np.floor(-on_line / slope[across]).astype(int)
    reach = int(np.floor(thickness_mm / 2 / abs(slope[across]) + 1e-5))
    found = []
    for step in range(-reach, reach + 2):
        position = middle + step
        inside = _is_in_slab(slope[across] * position + on_line, thickness_mm)
        inside &= (position >= start[across]) & (position < stop[across])
        if inside.any():
            ijk = np.empty((3, int(inside.sum())), np.int64)
            ijk[across] = position[inside]
            for axis, line in zip(others, lines, strict=True):
                ijk[axis] = line[inside]
            found.append(ijk)
    return np.concatenate(found, axis=1) if found else np.empty((3, 0), np.int64)


def _is_in_slab(distance_mm: np.ndarray, thickness_mm: float) -> np.ndarray:
    """Half-open, so that a voxel exactly between two slices belongs to one of them."""
    tolerance_mm = 1e-6 * thickness_mm
    return (distance_mm > -thickness_mm / 2 + tolerance_mm) & (distance_mm <= thickness_mm / 2 + tolerance_mm)


def _is_covered(places: np.ndarray, count: int) -> np.ndarray:
    """Whether places along rows or columns lie on one of so many pixels."""
    return (places > -0.5 - 1e-6) & (places < count - 0.5 + 1e-6)


def _values_at(probability_rc: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Linear interpolation, beyond the outermost pixels as there; where all the places are pixel centers, the pixels themselves."""
    rows, cols = (np.clip(x, 0, size - 1) for x, size in zip((rows, cols), probability_rc.shape, strict=True))
    nearest = np.round(rows), np.round(cols)
    rows, cols = (np.where(np.abs(x - n) < 1e-6, n, x) for x, n in zip((rows, cols), nearest, strict=True))
    if np.array_equal(rows, nearest[0]) and np.array_equal(cols, nearest[1]):
        return probability_rc[rows.astype(int), cols.astype(int)]
    return ndimage.map_coordinates(probability_rc.astype(np.float32), (rows, cols), order=1, mode="nearest")
