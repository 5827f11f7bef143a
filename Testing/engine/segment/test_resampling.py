"""Resizing is scipy's zoom, and its geometry keeps every structure in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.prepared_volume import resample_labels
from mednextseg.segment.prepare.resampling import anatomical_grid, resample_affine, resize, resize_planes, resized_geometry

shapes = st.tuples(*[st.integers(3, 14)] * 3)


@given(shapes, shapes, st.sampled_from([0, 1, 3]))
def test_resize_equals_scipys_zoom(shape_in: tuple, shape_out: tuple, order: int) -> None:
    volume = np.random.default_rng(0).normal(size=shape_in).astype(np.float32)
    factors = [b / a for a, b in zip(shape_in, shape_out, strict=True)]
    expected = ndimage.zoom(volume.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    assert np.abs(resize(volume, shape_out, (order,) * 3) - expected).max() < 1e-4


@pytest.mark.parametrize("planes_out", [23, 70, 71, 190])
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_long_volume_is_read_once_plane_by_plane(planes_out: int, order: int) -> None:
    volume = np.random.default_rng(0).normal(size=(70, 9, 8)).astype(np.float32)
    out, read = np.empty((planes_out, 7, 11), np.float32), []

    def planes(part: slice) -> np.ndarray:
        read.extend(range(70)[part])
        return volume[part]

    resize_planes(planes, volume.shape, out, (order,) * 3)
    factors = [b / a for a, b in zip(volume.shape, out.shape, strict=True)]
    expected = ndimage.zoom(volume.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    assert np.abs(out - expected).max() < 1e-4
    assert read == list(range(len(read)))


@given(shapes, shapes)
def test_resized_geometry_keeps_the_outer_edges(shape_in: tuple, shape_out: tuple) -> None:
    geometry = Geometry(shape_in, np.array([[0, -2, 0, 5], [1.5, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]]))
    resized = resized_geometry(geometry, shape_out)
    for corner in ((0, 0, 0), (1, 1, 1), (1, 0, 1)):
        old = np.where(corner, geometry.shape_ijk, 0) - 0.5
        new = np.where(corner, resized.shape_ijk, 0) - 0.5
        assert np.allclose(geometry.ras_from_ijk(old), resized.ras_from_ijk(new))


def test_resampling_a_linear_ramp_by_any_matrix_is_exact_inside() -> None:
    source = Geometry((20, 22, 24), np.array([[1.2, 0.1, 0, 3], [0, 0.9, 0, -4], [0, 0.2, 2, 8], [0, 0, 0, 1.0]]))
    k, j, i = np.meshgrid(*[np.arange(n) for n in source.shape_kji], indexing="ij")
    ras = source.ras_from_ijk(np.stack([i, j, k], axis=-1))
    ramp = ras @ np.array([2.0, -1.0, 0.5])
    target = Geometry((5, 6, 7), np.array([[1, 0, 0, 12], [0, 1, 0, 4], [0, 0, 1, 25], [0, 0, 0, 1.0]]))
    k, j, i = np.meshgrid(*[np.arange(n) for n in target.shape_kji], indexing="ij")
    expected = target.ras_from_ijk(np.stack([i, j, k], axis=-1)) @ np.array([2.0, -1.0, 0.5])
    assert np.abs(resample_affine(ramp, source, target, order=1) - expected).max() < 1e-3


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "AIR"])
def test_an_anatomical_grid_covers_every_corner(orientation: str) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) * [1.0, 2.0, 3.0]
    geometry = Geometry((9, 10, 11), matrix)
    grid = anatomical_grid(geometry, orientation, (1.5, 1.0, 0.7))
    assert grid.orientation == orientation
    assert np.allclose(grid.spacing_kji_mm, (1.5, 1.0, 0.7))
    corners = grid.ijk_from_ras(geometry.corners_ras())
    assert (corners >= -1e-6).all() and (corners <= np.array(grid.shape_ijk) - 1 + 1e-6).all()


def test_labels_resampled_onto_their_own_grid_are_unchanged() -> None:
    labels = np.random.default_rng(1).integers(0, 4, (6, 7, 8)).astype(np.uint8)
    geometry = Geometry(labels.shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    assert np.array_equal(resample_labels(labels, geometry, geometry), labels)
