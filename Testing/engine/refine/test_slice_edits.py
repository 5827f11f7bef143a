"""What a slice does to a segment, looked at only where something can change: the same as voxel by voxel."""

from dataclasses import replace

import numpy as np
from geometries import geometries
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_edits import edits_of, slice_edit
from mednextseg.refine.slices.slice_plane import SlicePlane, cut_thickness_mm, plane_through, slab_thickness_mm, voxel_plane
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.slices.voxel_box import VoxelBox

_SETTINGS = settings(max_examples=25, deadline=None)


def _positions(geometry: Geometry) -> np.ndarray:
    k, j, i = np.indices(geometry.shape_kji)
    return geometry.ras_from_ijk(np.stack([i, j, k], axis=-1))


@st.composite
def _planes_of_the_grids_own(draw: st.DrawFn) -> tuple[Geometry, SlicePlane]:
    """A segment's grid, and a plane along its axes with pixels of other sizes, which may reach beyond it."""
    geometry = draw(geometries())
    row, col = draw(st.permutations(range(3)))[:2]
    directions = geometry.directions_ras * np.array(draw(st.tuples(*[st.sampled_from([-1, 1])] * 3)))
    start = geometry.ras_from_ijk(np.array(draw(st.tuples(*[st.floats(-3, 12)] * 3))))
    spacing = draw(st.tuples(st.floats(0.5, 4), st.floats(0.5, 4)))
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    return geometry, SlicePlane(start, directions[:, row], directions[:, col], spacing, shape, draw(st.floats(0.5, 9)))


@_SETTINGS
@given(_planes_of_the_grids_own(), st.booleans(), st.integers(0, 2**20))
def test_planes_of_the_grids_own_give_what_looking_at_all_voxels_gives(given_, is_cut, seed):
    geometry, plane = given_
    generator = np.random.default_rng(seed)
    probability = generator.random(plane.shape_rc).astype(np.float32)
    least = (cut_thickness_mm if is_cut else slab_thickness_mm)(geometry, plane.normal_ras)
    positions = _positions(geometry)
    rows, cols = np.moveaxis(plane.rc_from_ras(positions), -1, 0)
    distance, half = plane.distance_mm(positions), max(plane.thickness_mm, least) / 2
    inside = (distance > -half + 2e-6 * half) & (distance <= half + 2e-6 * half)
    inside &= (rows > -0.5) & (rows < plane.shape_rc[0] - 0.5) & (cols > -0.5) & (cols < plane.shape_rc[1] - 0.5)
    values = ndimage.map_coordinates(probability, (rows[inside], cols[inside]), order=1, mode="nearest")
    edit = slice_edit(probability, plane, geometry, is_cut)
    found = np.zeros(0, int) if edit is None else edit.voxels
    assert np.array_equal(found, np.flatnonzero(inside))
    if edit is not None:
        is_clear = np.abs(values - 0.5) > 1e-5
        assert np.array_equal(edit.mask[is_clear], (values > 0.5)[is_clear])


@_SETTINGS
@given(geometries(), st.tuples(*[st.floats(-1, 1)] * 6), st.booleans(), st.integers(0, 2**20))
def test_what_slices_change_is_the_same_where_only_voxels_that_can_change_are_looked_at(geometry, directions, is_cut, seed):
    row, col = np.array(directions[:3]), np.array(directions[3:])
    assume(np.linalg.norm(np.cross(row, col)) > 0.1)
    generator = np.random.default_rng(seed)
    middle = plane_through(geometry, geometry.corners_ras().mean(axis=0), row, col)
    box = tuple(slice(*sorted(generator.integers(0, n + 1, 2))) for n in geometry.shape_kji)
    segment = np.zeros(geometry.shape_kji, bool)
    segment[box] = generator.random(segment[box].shape) < 0.5
    slices = []
    for plane in (middle, middle.shifted(0.7 * middle.thickness_mm)):
        probability = np.zeros(plane.shape_rc, np.float32)
        part = tuple(slice(*sorted(generator.integers(0, n + 1, 2))) for n in plane.shape_rc)
        probability[part] = generator.random(probability[part].shape)
        slices.append((probability, plane, is_cut))
    everywhere, where_needed = segment.copy(), segment.copy()
    for probability, plane, _is_cut in slices:
        edit = slice_edit(probability, plane, geometry, is_cut)
        if edit is not None:
            edit.apply(everywhere)
    for edit in edits_of(slices, geometry, VoxelBox.of_mask(segment)):
        edit.apply(where_needed)
    assert np.array_equal(everywhere, where_needed)


@_SETTINGS
@given(geometries(), st.integers(0, 2), st.tuples(*[st.integers(-3, 3)] * 4))
def test_pixels_that_are_voxels_are_read_like_others_also_beyond_the_volume(geometry, axis, ends):
    volume = np.random.default_rng(0).random(geometry.shape_kji).astype(np.float32)
    plane = voxel_plane(geometry, axis, 1)
    origin = plane.ras_from_rc([ends[0], ends[1]])
    plane = replace(plane, origin_ras=origin, shape_rc=(7 + ends[2], 7 + ends[3]))
    tilted = replace(plane, origin_ras=origin + 1e-5 * plane.spacing_rc_mm[0] * plane.row_direction_ras)
    assert np.allclose(
        sample_slice(volume, geometry, plane, outside=-9.0), sample_slice(volume, geometry, tilted, outside=-9.0), atol=1e-3
    )


def test_a_small_object_on_a_large_slice_is_few_voxels():
    geometry = Geometry((3, 400, 500), np.diag([0.3, 0.3, 2.0, 1.0]))
    plane = voxel_plane(geometry, 0, 1)
    probability = np.zeros(plane.shape_rc, np.float32)
    probability[100:110, 200:220] = 1
    segment = np.zeros(geometry.shape_kji, bool)
    (edit,) = edits_of([(probability, plane, True)], geometry, VoxelBox.of_mask(segment))
    assert len(edit.voxels) < 20 * 30
    edit.apply(segment)
    assert np.array_equal(segment[1], probability > 0.5) and not segment[[0, 2]].any()
