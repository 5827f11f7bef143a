"""Intensity normalizations follow their published formulas, and a recipe may ask for another one than the card."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mednextseg import segment
from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.normalization import SCHEMES, Normalization
from mednextseg.segment.prepare.intensity import fit_scaling, normalize
from mednextseg.segment.prepare.preprocess import prepare
from mednextseg.segment.recipe import SegmentRecipe

volumes = arrays(np.float32, st.tuples(*[st.integers(2, 6)] * 3), elements=st.floats(-500, 500, width=16))


def ct2_of_nnunet(volume: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """Bounds from the training data, mean and deviation from the case: of the voxels strictly between the bounds, after clipping."""
    between = (volume > lower) & (volume < upper)
    clipped = np.clip(volume, lower, upper)
    return (clipped - clipped[between].mean()) / clipped[between].std()


@pytest.mark.parametrize("masked", [False, True])
def test_clip_zscore_is_nnunets_ct2(masked: bool) -> None:
    volume = np.random.default_rng(0).normal(30, 200, (9, 10, 11)).astype(np.float32)
    scheme = Normalization("clip_zscore", lower=-100.0, upper=250.0, masked=masked)
    mask = np.ones(volume.shape, dtype=bool)
    mask[:3] = False
    scaled = fit_scaling(volume, scheme, mask).apply(volume, mask if masked else None)
    expected = ct2_of_nnunet(volume, -100, 250)
    if masked:
        expected[~mask] = 0
    np.testing.assert_allclose(scaled, expected, atol=1e-5)


def test_percentile_zscore_clips_to_the_images_own_percentiles() -> None:
    volume = np.random.default_rng(0).normal(30, 200, (20, 20, 20)).astype(np.float32)
    volume[0, 0, :3] = 1e6  # metal, which must not decide the scale
    low, high = np.percentile(volume, [0.5, 99.5])
    clipped = np.clip(volume, low, high)
    expected = (clipped - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(normalize(volume, Normalization("percentile_zscore")), expected, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(volume=volumes)
def test_every_scheme_gives_finite_numbers_and_leaves_its_input_alone(scheme: str, volume: np.ndarray) -> None:
    before = volume.copy()
    scaled = normalize(volume, Normalization(scheme, lower=-10.0, upper=10.0))
    assert scaled.dtype == np.float32 and np.isfinite(scaled).all()
    np.testing.assert_array_equal(volume, before)


@given(volume=volumes, gain=st.sampled_from([0.25, 2.0, 8.0]), offset=st.integers(-100, 100))
def test_schemes_that_look_at_the_image_ignore_gain_and_offset(volume: np.ndarray, gain: float, offset: int) -> None:
    if volume.std() < 1:
        return
    for scheme in ("zscore", "percentile_zscore", "minmax"):
        expected = normalize(volume, Normalization(scheme))
        if np.abs(expected).max() < 50:  # a deviation of nearly nothing after clipping
            np.testing.assert_allclose(normalize(volume * gain + offset, Normalization(scheme)), expected, atol=2e-2)


def test_a_recipe_may_ask_for_another_normalization_by_channel_name(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(100, 20, (16, 16, 32)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    assert tiny_model.card.channels[0].normalization.scheme == "zscore"
    recipe = SegmentRecipe.from_dict({"normalization": {"MR": {"scheme": "minmax"}}})
    assert SegmentRecipe.from_dict(recipe.to_dict()) == recipe
    image = prepare(volume[None], geometry, recipe.applied_to(tiny_model.card)).image_ckji
    np.testing.assert_allclose(image[0], (volume - volume.min()) / (volume.max() - volume.min()), atol=1e-5)
    labelmap, report = segment(volume, geometry, tiny_model, recipe=recipe)
    assert report.recipe["normalization"]["MR"]["scheme"] == "minmax"
    assert not np.array_equal(labelmap, segment(volume, geometry, tiny_model)[0])
    with pytest.raises(ValueError, match="normalizes the channel CT; the model has: MR"):
        segment(volume, geometry, tiny_model, recipe=SegmentRecipe(normalization={"CT": Normalization("none")}))
    with pytest.raises(ValueError, match="unknown normalization 'best'"):
        SegmentRecipe.from_dict({"normalization": {"MR": {"scheme": "best"}}})
