"""Voxel indices and the patient's world agree for every orientation, oblique direction and spacing."""

import numpy as np
import pytest
from geometries import CODES, geometries
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry, axis_map


@given(geometries(), st.tuples(*[st.floats(-20, 20)] * 3))
def test_ras_and_ijk_are_inverse(geometry: Geometry, point: tuple) -> None:
    assert np.allclose(geometry.ijk_from_ras(geometry.ras_from_ijk(np.array(point))), point, atol=1e-6)


@given(geometries())
def test_spacing_and_directions_rebuild_the_matrix(geometry: Geometry) -> None:
    assert np.allclose(geometry.directions_ras * geometry.spacing_ijk_mm, geometry.ijk_to_ras[:3, :3])
    assert geometry.spacing_kji_mm == tuple(geometry.spacing_ijk_mm[::-1])
    assert np.isclose(geometry.voxel_volume_mm3, np.prod(geometry.spacing_ijk_mm))


@given(geometries(), st.sampled_from(CODES))
def test_turning_to_an_orientation_moves_every_voxel_with_its_place(geometry: Geometry, code: str) -> None:
    turn = axis_map(geometry.orientation, code)
    array = np.arange(np.prod(geometry.shape_kji)).reshape(geometry.shape_kji)
    turned, turned_geometry = turn.apply(array), turn.apply_geometry(geometry)
    assert turned.shape == turned_geometry.shape_kji
    assert turned_geometry.orientation == code
    index_kji = tuple(n // 2 for n in turned.shape)
    ras = turned_geometry.ras_from_ijk(np.array(index_kji[::-1], dtype=float))
    original_ijk = np.rint(geometry.ijk_from_ras(ras)).astype(int)
    assert array[tuple(original_ijk[::-1])] == turned[index_kji]
    assert np.array_equal(turn.invert(turned), array)


@pytest.mark.parametrize("source", CODES[::5])
@pytest.mark.parametrize("target", CODES[::7])
def test_turning_there_and_back_is_the_identity(source: str, target: str) -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    there, back = axis_map(source, target), axis_map(target, source)
    assert np.array_equal(back.apply(there.apply(array)), array)


@given(geometries(), st.tuples(*[st.integers(-3, 1)] * 3))
def test_cropping_keeps_voxels_in_place(geometry: Geometry, start: tuple) -> None:
    cropped = geometry.cropped(start, geometry.shape_kji)
    assert np.allclose(cropped.ras_from_ijk(-np.array(start[::-1])), geometry.ras_from_ijk(np.zeros(3)), atol=1e-6)
    assert cropped.shape_kji == tuple(n - s for n, s in zip(geometry.shape_kji, start, strict=True))


def test_orientation_and_obliquity_of_a_tilted_axial_scan() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("x", 12, degrees=True).as_matrix() @ np.diag([-0.5, -0.5, 3])
    geometry = Geometry((4, 5, 6), matrix)
    assert geometry.orientation == "LPS"
    assert np.isclose(geometry.obliquity_deg, 12)
    assert not geometry.is_sheared


def test_shear_is_recognized() -> None:
    matrix = np.eye(4)
    matrix[0, 1] = 0.2
    assert Geometry((2, 2, 2), matrix).is_sheared


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.diag([0, 1, 1, 1]), "spacing must be positive"),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "singular"),
        (np.full((4, 4), np.nan), "finite"),
    ],
)
def test_broken_geometry_is_refused_in_one_sentence(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Geometry((2, 2, 2), matrix)


def test_an_orientation_that_names_an_axis_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one each"):
        axis_map("RAS", "RLS")
