"""A slice on any plane and back: the same object whichever way it is cut, on whichever grid it is kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_edits import slice_edit
from mednextseg.refine.slices.slice_plane import (
    SlicePlane,
    cut_thickness_mm,
    plane_from_slice_to_ras,
    plane_through,
    slab_thickness_mm,
    voxel_plane,
)
from mednextseg.refine.slices.slice_sampling import sample_slice

_SETTINGS = settings(max_examples=25, deadline=None)


def _geometry(shape_kji, spacing_ijk, angles_deg=(0, 0, 0), origin=(-20.0, 5.0, 30.0), mirrored=False) -> Geometry:
    rotation = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(spacing_ijk) * np.array([-1 if mirrored else 1, 1, 1])
    matrix[:3, 3] = origin
    return Geometry(shape_kji, matrix)


@st.composite
def _geometries(draw: st.DrawFn) -> Geometry:
    shape = draw(st.tuples(*[st.integers(3, 12)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.5, 4.0)] * 3))
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    return _geometry(shape, spacing, angles, draw(st.tuples(*[st.floats(-100, 100)] * 3)), draw(st.booleans()))


def _ball(geometry: Geometry, center_ras, radius_mm) -> np.ndarray:
    k, j, i = np.indices(geometry.shape_kji)
    ras = geometry.ras_from_ijk(np.stack([i, j, k], axis=-1))
    return np.linalg.norm(ras - center_ras, axis=-1) <= radius_mm


@_SETTINGS
@given(_geometries(), st.integers(0, 2), st.floats(0, 1), st.randoms(use_true_random=False))
def test_a_voxel_slice_is_sampled_and_put_back_without_changing_a_voxel(geometry, axis, where, random):
    volume = np.random.default_rng(random.randint(0, 99)).random(geometry.shape_kji).astype(np.float32)
    index = round(where * (geometry.shape_kji[axis] - 1))
    plane = voxel_plane(geometry, axis, index)
    assert np.allclose(sample_slice(volume, geometry, plane), volume.take(index, axis), atol=1e-4)
    mask = volume.take(index, axis) > 0.5
    edit = slice_edit(mask.astype(np.float32), plane, geometry)
    segment = np.zeros(geometry.shape_kji, bool)
    edit.apply(segment)
    expected = np.zeros_like(segment)
    np.moveaxis(expected, axis, 0)[index] = mask
    assert np.array_equal(segment, expected)


@_SETTINGS
@given(_geometries(), st.tuples(*[st.floats(-1, 1)] * 6))
def test_points_on_a_plane_return_to_where_they_came_from(geometry, directions):
    row, col = np.array(directions[:3]), np.array(directions[3:])
    if np.linalg.norm(np.cross(row, col)) < 0.1:
        return
    plane = plane_through(geometry, geometry.corners_ras().mean(axis=0), row, col)
    points = np.array([[0, 0], [3.5, 1.25], [-2, 7]])
    there = plane.ras_from_rc(points)
    assert np.allclose(plane.rc_from_ras(there), points, atol=1e-6)
    assert np.abs(plane.distance_mm(there)).max() < 1e-6
    assert np.allclose(plane.distance_mm(there + 2.5 * plane.normal_ras), 2.5)


@pytest.mark.parametrize(
    ("row", "col"),
    [((0, -1, 0), (1, 0, 0)), ((0, 0, -1), (0, 1, 0)), ((0, 0, -1), (1, 0, 0)), ((0.3, -1, 0.4), (1, 0.2, -0.3))],
    ids=["axial", "sagittal", "coronal", "oblique"],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_ball_cut_slice_by_slice_is_the_same_ball_in_every_orientation(row, col, mirrored):
    """Every plane of a stack is put back in turn: together they must give the ball, no gaps and no doubled layers."""
    volume_geometry = _geometry((30, 34, 32), (1.0, 1.0, 1.0), mirrored=mirrored)
    center = volume_geometry.corners_ras().mean(axis=0) + 0.3
    ball = _ball(volume_geometry, center, 9.0)
    soft = np.clip(9.5 - np.linalg.norm(_positions(volume_geometry) - center, axis=-1), 0, 1).astype(np.float32)
    voxel_center = volume_geometry.ras_from_ijk(np.array([16, 17, 15]))
    middle = plane_through(volume_geometry, voxel_center, row, col)
    segment, count = np.zeros(volume_geometry.shape_kji, bool), np.zeros(volume_geometry.shape_kji, int)
    for step in range(-24, 25):
        plane = middle.shifted(step * middle.thickness_mm)
        edit = slice_edit(sample_slice(soft, volume_geometry, plane, outside=0.0), plane, volume_geometry)
        if edit is None:
            continue
        edit.apply(segment)
        count.reshape(-1)[edit.voxels] += 1
    assert count[ball].min() == count[ball].max() == 1
    dice = 2 * (segment & ball).sum() / (segment.sum() + ball.sum())
    assert dice > (0.9999 if 0 in row else 0.97)


@_SETTINGS
@given(_geometries(), st.tuples(*[st.floats(-1, 1)] * 3), st.floats(-4, 4), st.floats(0.5, 9), st.booleans())
def test_the_voxels_of_a_slab_are_those_that_looking_at_all_of_them_finds(geometry, normal, shift_mm, thickness_mm, is_cut):
    assume(np.linalg.norm(normal) > 0.2)
    normal = np.array(normal) / np.linalg.norm(normal)
    row = np.cross(normal, (0.3, 0.5, 0.8) if abs(normal[0]) > 0.5 else (1, 0, 0))
    center = geometry.corners_ras().mean(axis=0) + shift_mm * normal
    plane = replace(plane_through(geometry, center, row, np.cross(normal, row)), thickness_mm=thickness_mm)
    edit = slice_edit(np.ones(plane.shape_rc, np.float32), plane, geometry, is_cut)
    thickness = max(thickness_mm, (cut_thickness_mm if is_cut else slab_thickness_mm)(geometry, plane.normal_ras))
    distance = plane.distance_mm(_positions(geometry))
    assume(not (np.abs(np.abs(distance) - thickness / 2) < 1e-5 * thickness).any())
    found = np.zeros(geometry.shape_kji, bool)
    if edit is not None:
        assert len(np.unique(edit.voxels)) == len(edit.voxels)
        edit.apply(found)
    assert np.array_equal(found, np.abs(distance) < thickness / 2)


def test_a_view_of_an_oblique_plane_shows_its_slice_without_holes():
    geometry = _geometry((20, 24, 28), (1.0, 1.3, 2.0), angles_deg=(10, 20, 30))
    plane = plane_through(geometry, geometry.corners_ras().mean(axis=0), (0.3, -1, 0.4), (1, 0.4, 0.2), spacing_mm=0.3)
    segment = np.zeros(geometry.shape_kji, bool)
    slice_edit(np.ones(plane.shape_rc, np.float32), plane, geometry, is_cut=True).apply(segment)
    inside = sample_slice(np.ones(geometry.shape_kji, np.uint8), geometry, plane, order=0, outside=0.0) > 0
    assert inside.any() and np.array_equal(sample_slice(segment, geometry, plane, order=0, outside=0.0) > 0, inside)


def _positions(geometry: Geometry) -> np.ndarray:
    k, j, i = np.indices(geometry.shape_kji)
    return geometry.ras_from_ijk(np.stack([i, j, k], axis=-1))


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (2.0, 2.0, 2.0), (0.7, 1.3, 2.4)])
def test_the_mask_lands_in_a_segment_whose_grid_differs_from_the_volume(spacing):
    volume = _geometry((24, 40, 40), (1.0, 1.0, 3.0))
    size = [int(40 * step / s) for step, s in zip((1, 1, 1.8), spacing, strict=True)][::-1]
    segment_geometry = _geometry(tuple(size), spacing, angles_deg=(0, 0, 25), origin=(-22, -5, 32))
    plane = voxel_plane(volume, 0, 8)
    disk = np.hypot(*(np.indices((40, 40)) - 19.5)) <= 11
    edit = slice_edit(disk.astype(np.float32), plane, segment_geometry)
    center = plane.ras_from_rc([19.5, 19.5])
    offset = _positions(segment_geometry) - center
    thickness = max(3.0, slab_thickness_mm(segment_geometry, plane.normal_ras))
    distance = offset @ plane.normal_ras - 1e-6
    inside = (np.hypot(offset[..., 0], offset[..., 1]) <= 11) & (distance > -thickness / 2) & (distance <= thickness / 2)
    segment = np.zeros(segment_geometry.shape_kji, bool)
    edit.apply(segment)
    assert 2 * (segment & inside).sum() / (segment.sum() + inside.sum()) > 0.95
    assert np.abs(offset[segment] @ plane.normal_ras).max() <= thickness / 2 + 1e-5


def test_a_parent_transform_moves_the_object_with_the_volume():
    geometry = _geometry((20, 20, 20), (1.0, 1.0, 1.0))
    center = geometry.corners_ras().mean(axis=0)
    volume = _ball(geometry, center, 6.0).astype(np.float32)
    moved = np.eye(4)
    moved[:3, :3] = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
    moved[:3, 3] = (100, -40, 7)
    world = geometry.transformed(moved)
    plane = plane_through(world, moved[:3, :3] @ center + moved[:3, 3], (0, -1, 0), (1, 0, 0), spacing_mm=0.5)
    mask = sample_slice(volume, world, plane) > 0.5
    assert mask.sum() * 0.25 == pytest.approx(np.pi * 36, rel=0.06)
    rows, cols = np.nonzero(mask)
    found = plane.ras_from_rc([rows.mean(), cols.mean()])
    assert np.allclose(found, moved[:3, :3] @ center + moved[:3, 3], atol=0.3)


def test_the_edge_of_the_image_is_repeated_for_half_a_voxel_and_no_further():
    geometry = _geometry((4, 4, 4), (1.0, 1.0, 1.0), origin=(0, 0, 0))
    plane = SlicePlane((-0.4, -0.4, 1), (0, 1, 0), (1, 0, 0), (0.4, 0.4), (4, 4), 1.0)
    values = sample_slice(np.full((4, 4, 4), 5.0), geometry, plane, outside=-1.0)
    assert values.min() == 5.0
    beyond = SlicePlane((-0.6, 0, 1), (0, 1, 0), (1, 0, 0), (1.0, 1.0), (1, 1), 1.0)
    assert sample_slice(np.full((4, 4, 4), 5.0), geometry, beyond, outside=-1.0).item() == -1.0


@_SETTINGS
@given(_geometries())
def test_a_plane_through_the_volume_along_its_axes_has_the_voxels_as_pixels(geometry):
    native = voxel_plane(geometry, 0, geometry.shape_kji[0] // 2)
    plane = plane_through(geometry, native.origin_ras, native.row_direction_ras, native.col_direction_ras)
    assert plane.shape_rc == native.shape_rc
    assert np.allclose(plane.origin_ras, native.origin_ras, atol=1e-6)
    assert np.allclose(plane.spacing_rc_mm, native.spacing_rc_mm)


def test_the_planes_of_a_slicer_view_have_rows_that_go_down_the_screen():
    geometry = _geometry((10, 10, 10), (1.0, 1.0, 1.0))
    slice_to_ras = np.eye(4)
    slice_to_ras[:3, 0], slice_to_ras[:3, 1] = (-1, 0, 0), (0, 1, 0)  # Slicer's axial view: right is left, up is anterior
    slice_to_ras[:3, 3] = geometry.corners_ras().mean(axis=0)
    plane = plane_from_slice_to_ras(geometry, slice_to_ras)
    assert np.allclose(plane.row_direction_ras, (0, -1, 0)) and np.allclose(plane.col_direction_ras, (-1, 0, 0))


@given(st.tuples(*[st.floats(-50, 50)] * 4))
def test_box_corners_are_sorted_after_mapping(corners_mm):
    plane = SlicePlane((1, 2, 3), (0, -1, 0), (-1, 0, 0), (1.5, 1.5), (60, 60), 1.0)
    a, c, b, d = corners_mm
    ras = np.array([[a, c, 3], [b, d, 3]])
    box = plane.box_from_ras(ras)
    assert box[0] <= box[2] and box[1] <= box[3]
    assert np.allclose(box, plane.box_from_ras(ras[::-1]))
    assert np.allclose(box, plane.box_from_ras(np.array([[a, d, 3], [b, c, 3]])))


def test_a_plane_survives_json_to_the_last_bit():
    plane = plane_through(_geometry((5, 6, 7), (0.7, 0.9, 1.1), (3, 5, 7)), (1 / 3, 0.1, 0.2), (0.1, 0.2, 0.9), (1, 0.3, 0))
    again = SlicePlane.from_dict(plane.to_dict())
    assert again.to_dict() == plane.to_dict()


def test_senseless_planes_are_refused():
    with pytest.raises(ValueError, match="right angles"):
        SlicePlane((0, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1), (4, 4), 1.0)
    with pytest.raises(ValueError, match="positive"):
        SlicePlane((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 1), (4, 4), 1.0)
    with pytest.raises(ValueError, match="no slice"):
        voxel_plane(_geometry((4, 4, 4), (1, 1, 1)), 0, 4)


def test_a_slice_beside_the_segment_changes_nothing():
    geometry = _geometry((4, 4, 4), (1.0, 1.0, 1.0))
    plane = voxel_plane(geometry, 0, 0).shifted(-20.0)
    assert slice_edit(np.ones(plane.shape_rc, np.float32), plane, geometry) is None
