"""What is carried from slice to slice stays with what looks like the object, and ends where the object does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.refine import load_prompter
from mednextseg.refine.appearance import Appearance
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import voxel_plane


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**16))
@settings(max_examples=40)
def test_intensities_of_the_object_speak_for_it_and_others_against(inside: float, outside: float, seed: int) -> None:
    mask = np.zeros((40, 44), bool)
    mask[12:28, 14:30] = True
    image = np.where(mask, inside, outside) + np.random.default_rng(seed).normal(0, 0.02, mask.shape)
    appearance = Appearance(image, mask)
    odds = appearance.log_odds(image)
    assert np.isfinite(odds).all()
    assert appearance.usual_share(image, mask) == pytest.approx(0.9, abs=0.02)
    if abs(inside - outside) > 0.2:
        assert odds[16:24, 18:26].min() > 1 and odds[:8].max() < -1
        assert appearance.usual_share(image, ~mask) < 0.05


@pytest.mark.parametrize("whole", [False, True])
def test_an_object_without_surroundings_or_of_one_value_decides_nothing(whole: bool) -> None:
    mask = np.ones((12, 12), bool)
    if not whole:
        mask[:3] = False
    assert np.array_equal(Appearance(np.full((12, 12), 0.5), mask).log_odds(np.full((12, 12), 0.5)), np.zeros((12, 12)))


@pytest.mark.parametrize("contrast", [1.0, -1.0])
def test_a_whole_object_ends_where_the_object_does(contrast: float) -> None:
    k, j, i = np.indices((26, 64, 64))
    truth = (np.abs(k - 12) < 6) & ((j - 30) ** 2 + (i - 34) ** 2 < 11**2)
    volume = 100 + 25 * contrast * truth + np.random.default_rng(0).normal(0, 8, truth.shape)
    geometry = Geometry(truth.shape, np.eye(4))
    refinement = Refinement(volume.astype(np.float32), geometry, load_prompter("clicknet"), display_range=(50.0, 150.0))
    refinement.add_point(geometry.ras_from_ijk(np.array([34.0, 30, 12])), True, voxel_plane(geometry, 0, 12))
    refinement.whole_object()
    found = refinement.preview_segment()
    slices = np.flatnonzero(found.any(axis=(1, 2)))
    assert 6 <= slices.min() <= 7 and 17 <= slices.max() <= 19  # the object has 7 to 17
    assert _dice(found, truth) > 0.95  # it is 0.962 and 0.980


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())
