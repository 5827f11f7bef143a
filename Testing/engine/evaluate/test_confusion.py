"""What became of each structure, for masks that overlap, that lie apart, and that lie on other grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats.contingency import crosstab

from mednextseg.evaluate.confusion import confusion_ml
from mednextseg.evaluate.mask_grids import on_grid
from mednextseg.evaluate.structure import compare_structure
from mednextseg.geometry import Geometry

SHAPE = (10, 12, 14)


def oblique(spacing_ijk: tuple[float, float, float] = (1.0, 2.0, 2.5)) -> Geometry:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (5, -8, 12), degrees=True).as_matrix() * spacing_ijk
    matrix[:3, 3] = (7, -40, 12)
    return Geometry(SHAPE, matrix)


def boxed(mask_kji: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Cut to its own box, as segments come."""
    places = np.argwhere(mask_kji)
    start, stop = places.min(axis=0), places.max(axis=0) + 1
    return mask_kji[tuple(map(slice, start, stop))].astype(np.uint8), geometry.cropped(start, stop)


@given(seed=st.integers(0, 1000), labels=st.integers(2, 4))
@settings(max_examples=15)
def test_it_is_scipy_s_cross_table_times_the_voxel(seed: int, labels: int) -> None:
    random = np.random.default_rng(seed)
    truth, guess = random.integers(0, labels + 1, (2, *SHAPE))
    volumes = confusion_ml(*([boxed(side == n, oblique()) for n in range(1, labels + 1)] for side in (truth, guess)))
    levels = (range(labels + 1), range(labels + 1))
    counts = crosstab(truth.ravel(), guess.ravel(), levels=levels).count
    expected = np.column_stack([counts[1:, 1:], counts[1:, 0]]) * oblique().voxel_volume_mm3 / 1000
    np.testing.assert_allclose(volumes, expected)


def test_predictions_that_overlap_count_each_and_what_lies_apart_is_missed() -> None:
    whole, half, elsewhere = (np.zeros(SHAPE, dtype=bool) for _ in range(3))
    whole[2:6, 2:6, 2:6], half[2:4, 2:6, 2:6], elsewhere[8:, 8:, 8:] = True, True, True
    grid = Geometry(SHAPE, np.diag([10.0, 10.0, 10.0, 1.0]))
    volumes = confusion_ml([boxed(whole, grid)], [boxed(mask, grid) for mask in (whole, half, elsewhere)])
    assert volumes[0] == pytest.approx([64.0, 32.0, 0.0, 0.0])
    assert confusion_ml([boxed(whole, grid)], [boxed(half, grid)])[0] == pytest.approx([32.0, 32.0])
    assert confusion_ml([boxed(whole, grid)], [])[0] == pytest.approx([64.0])


def test_a_prediction_on_a_finer_grid_covers_the_same_volume() -> None:
    coarse = Geometry(SHAPE, np.eye(4))
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    matrix[:3, 3] = -0.25
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:6, 3:9, 4:10] = True
    fine = mask.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    placed, is_resampled = on_grid(fine, Geometry(fine.shape, matrix), coarse)
    assert is_resampled
    np.testing.assert_array_equal(placed, mask)
    volumes = confusion_ml([boxed(mask, coarse)], [boxed(fine, Geometry(fine.shape, matrix))])
    assert volumes[0] == pytest.approx([mask.sum() / 1000, 0])


@given(shift=st.tuples(*[st.integers(-16, 16)] * 3))
@settings(max_examples=25)
def test_the_part_of_a_mask_that_lies_on_a_grid_is_placed_voxel_by_voxel(shift: tuple[int, int, int]) -> None:
    mask = np.random.default_rng(0).random(SHAPE) < 0.5
    moved = oblique().cropped(shift, np.add(shift, SHAPE))
    placed, is_resampled = on_grid(mask, oblique(), moved)
    assert not is_resampled
    for k, j, i in np.argwhere(np.ones(SHAPE)):
        source = np.add((k, j, i), shift)
        inside = (source >= 0).all() and (source < SHAPE).all()
        assert placed[k, j, i] == (inside and mask[tuple(source)])


def test_one_structure_is_compared_beyond_both_boxes_and_keeps_its_place() -> None:
    truth, guess = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    truth[2:6, 2:6, 2:6], guess[2:6, 2:6, 4:8] = True, True
    compared = compare_structure("liver", *boxed(truth, oblique()), *boxed(guess, oblique()))
    assert compared.result.labels["liver"]["dice"] == pytest.approx(0.5)
    assert compared.result.labels["liver"]["tolerance_mm"] == 5.0
    errors, _ = on_grid(compared.errors_kji == 1, compared.geometry, oblique())
    np.testing.assert_array_equal(errors, guess & ~truth)
    assert compared.result.notes == ()
