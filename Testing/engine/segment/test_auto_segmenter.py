"""The same anatomy comes out, however the volume lies in the file; and bad input gets one sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from geometries import CODES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tiny_models import ball, tiny_mednext, write_package

from mednextseg import load_model, segment
from mednextseg.errors import Cancelled
from mednextseg.geometry import Geometry, axis_map
from mednextseg.models.clean_up import Postprocessing
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.prepare.input_check import warnings_for
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.segment_report import SegmentReport

SHAPE = (36, 40, 34)


def blob_volume(shape: tuple = SHAPE) -> np.ndarray:
    """An asymmetric bright object, so that no turn of it looks like another."""
    volume = 100 * ball(shape, (14, 20, 15), (7, 11, 6)) + 100 * ball(shape, (22, 12, 22), (4, 5, 4))
    return volume.astype(np.float32)


def centroid_ras(labelmap: np.ndarray, geometry: Geometry) -> np.ndarray:
    return geometry.ras_from_ijk(np.argwhere(labelmap)[:, ::-1]).mean(axis=0)


@pytest.fixture(scope="module")
def as_it_lies(packages: dict[str, Path]) -> tuple[np.ndarray, Geometry, np.ndarray]:
    """A volume on axes that run to right, anterior and superior, and the labels of the model "tiny"."""
    volume = np.random.default_rng(0).normal(size=(20, 24, 40)).astype(np.float32)
    geometry = Geometry(volume.shape, np.diag([1.0, 1.0, 1.0, 1.0]))
    return volume, geometry, segment(volume, geometry, load_model(packages["tiny"]))[0]


@pytest.mark.parametrize("code", CODES[::3])
def test_any_axis_order_and_flip_gives_the_same_voxels(code: str, tiny_model: LoadedModel, as_it_lies: tuple) -> None:
    volume, geometry, expected = as_it_lies
    turn = axis_map("RAS", code)
    turned, _ = segment(np.ascontiguousarray(turn.apply(volume)), turn.apply_geometry(geometry), tiny_model)
    assert set(np.unique(expected)) == {0, 1, 2}  # a real result, not an empty one
    assert np.array_equal(turn.invert(turned), expected)


@settings(max_examples=12)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.6, 2.5)] * 3),
    st.tuples(*[st.floats(-200, 200)] * 3),
    st.booleans(),
)
def test_any_direction_and_spacing_gives_the_same_anatomy(
    threshold_model: LoadedModel, angles: tuple, spacing: tuple, origin: tuple, left_handed: bool
) -> None:
    """The same bright object, scanned on another grid, is found at the same place with the same volume."""
    center, radii_mm = np.array([3.0, -5.0, 8.0]) + origin, 9.0
    shape_ijk = np.ceil(26 / np.array(spacing)).astype(int)
    matrix = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, :3] = rotation * np.array(spacing) * ([-1, 1, 1] if left_handed else [1, 1, 1])
    matrix[:3, 3] = center - matrix[:3, :3] @ ((shape_ijk - 1) / 2)
    geometry = Geometry(tuple(shape_ijk[::-1]), matrix)
    k, j, i = np.meshgrid(*[np.arange(n) for n in geometry.shape_kji], indexing="ij")
    distance = np.linalg.norm(geometry.ras_from_ijk(np.stack([i, j, k], axis=-1)) - center, axis=-1)
    volume = np.clip(radii_mm - distance, -2, 2).astype(np.float32)
    labelmap, _ = segment(volume, geometry, threshold_model)
    assert np.linalg.norm(centroid_ras(labelmap, geometry) - center) < 0.35 * max(spacing)
    truth = (volume > volume.mean() + 0.5 * volume.std()).sum()
    assert abs(int(labelmap.sum()) - truth) <= 0.12 * truth


def test_a_sheared_parent_transform_moves_the_result_with_the_anatomy(threshold_model: LoadedModel) -> None:
    geometry = Geometry(SHAPE, np.diag([1.0, 1.0, 1.0, 1.0]))
    sheared = geometry.transformed(np.array([[1, 0.15, 0, 4], [0, 1, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1.0]]))
    expected, _ = segment(blob_volume(), geometry, threshold_model)
    labelmap, _ = segment(blob_volume(), sheared, threshold_model)
    overlap = 2 * np.logical_and(labelmap, expected).sum() / (labelmap.sum() + expected.sum())
    assert overlap > 0.95


def test_the_volume_is_never_changed(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(18, 20, 33)).astype(np.float32)
    before = volume.copy()
    volume.setflags(write=False)
    segment(volume, Geometry(volume.shape, np.eye(4)), tiny_model, recipe=SegmentRecipe(tta=True))
    assert np.array_equal(volume, before)


def test_a_region_of_interest_limits_the_result_and_keeps_its_inside(threshold_model: LoadedModel) -> None:
    geometry = Geometry(SHAPE, np.diag([1.0, 1.0, 1.0, 1.0]))
    whole, _ = segment(blob_volume(), geometry, threshold_model)
    roi = RegionOfInterest((0, 33, 0, 39, 0, 15.4))
    part, _ = segment(blob_volume(), geometry, threshold_model, roi=roi)
    assert not part[16:].any()
    assert (part[:16] != whole[:16]).mean() < 0.01


def test_a_rotated_region_is_honored_voxel_by_voxel(threshold_model: LoadedModel) -> None:
    geometry = Geometry(SHAPE, np.diag([1.0, 1.0, 1.0, 1.0]))
    box_to_ras = np.eye(4)
    box_to_ras[:3, :3] = Rotation.from_euler("z", 30, degrees=True).as_matrix()
    box_to_ras[:3, 3] = (15, 20, 14)
    roi = RegionOfInterest((-5, 5, -8, 8, -6, 6), box_to_ras)
    labelmap, _ = segment(blob_volume(), geometry, threshold_model, roi=roi)
    points = geometry.ras_from_ijk(np.argwhere(labelmap)[:, ::-1])
    inside = (points - box_to_ras[:3, 3]) @ box_to_ras[:3, :3]
    assert len(points) > 100 and (np.abs(inside) <= np.array([5, 8, 6]) + 1e-6).all()


def test_labels_can_be_chosen_and_the_report_tells_the_volumes(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(20, 24, 40)).astype(np.float32)
    geometry = Geometry(volume.shape, np.diag([2.0, 1.0, 1.0, 1.0]))
    labelmap, report = segment(volume, geometry, tiny_model, labels=["right"])
    assert set(np.unique(labelmap)) == {0, 2}
    assert report.volumes_ml == {"right": pytest.approx((labelmap == 2).sum() * 2 / 1000)}
    assert report.windows.full > 0 and report.windows.skip == 0 and report.seconds_by_phase["network"] > 0


def test_progress_rises_to_one_and_names_its_phases(tiny_model: LoadedModel) -> None:
    reports = []
    volume = np.random.default_rng(0).normal(size=(40, 24, 40)).astype(np.float32)
    segment(volume, Geometry(volume.shape, np.eye(4)), tiny_model, progress=reports.append)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions) and fractions[-1] > 0.95
    assert [*dict.fromkeys(report.phase for report in reports)] == ["prepare", "network", "clean up"]


def test_cancelling_stops_between_windows(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(64, 64, 64)).astype(np.float32)
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        segment(volume, Geometry(volume.shape, np.eye(4)), tiny_model, cancelled=cancelled)
    assert len(asked) == 4


def test_the_same_recipe_gives_the_same_labelmap(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(20, 24, 40)).astype(np.float32)
    geometry, recipe = Geometry(volume.shape, np.eye(4)), SegmentRecipe(overlap=0.25, tta=True)
    first, _ = segment(volume, geometry, tiny_model, recipe=recipe)
    second, _ = segment(volume, geometry, tiny_model, recipe=SegmentRecipe.from_dict(recipe.to_dict()))
    assert np.array_equal(first, second)


def test_the_recipes_clean_up_is_applied(threshold_model: LoadedModel) -> None:
    geometry = Geometry(SHAPE, np.eye(4))
    volume = (100 * ball(SHAPE, (12, 20, 15), (7, 11, 6)) + 100 * ball(SHAPE, (28, 8, 27), (3, 3, 3))).astype(np.float32)
    both, _ = segment(volume, geometry, threshold_model)
    recipe = SegmentRecipe(postprocessing={"bright": Postprocessing(keep_largest=True)})
    largest, _ = segment(volume, geometry, threshold_model, recipe=recipe)
    assert both[28, 8, 27] == 1 and largest[28, 8, 27] == 0 and largest[12, 20, 15] == 1


def test_several_channels_are_matched_to_the_card(tmp_path: object) -> None:
    channels = [{"name": name, "modality": "MR", "normalization": {"scheme": "zscore"}} for name in ("T1", "T2")]
    model = load_model(write_package(tmp_path / "two", tiny_mednext(in_channels=2), ("left", "right"), channels=channels))
    volume = np.random.default_rng(0).normal(size=(2, 20, 24, 40)).astype(np.float32)
    labelmap, _ = segment(volume, Geometry(volume.shape[1:], np.eye(4)), model)
    assert labelmap.shape == volume.shape[1:]
    with pytest.raises(ValueError, match=r"needs 2 channel\(s\) \(T1, T2\), got 1"):
        segment(volume[0], Geometry(volume.shape[1:], np.eye(4)), model)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.zeros((20, 20), np.float32), "three axes"),
        (np.zeros((1, 20, 20, 20, 3), np.float32), "three axes"),
        (np.zeros((3, 20, 20, 20), np.float32), "needs 1 channel"),
        (np.zeros((1, 1, 20, 20), np.float32), "slice cannot be segmented"),
        (np.full((20, 20, 20), np.nan, np.float32), "8000 voxels are NaN or infinite"),
        (np.full((20, 20, 20), -1e300), r"reach 1e\+300, beyond what networks count with"),
        (np.zeros((20, 20, 20), np.complex64), "real numbers"),
    ],
)
def test_bad_volumes_get_one_sentence(volume: np.ndarray, message: str, tiny_model: LoadedModel) -> None:
    shape = volume.shape[-3:] if volume.ndim > 2 else (1, *volume.shape)
    with pytest.raises(ValueError, match=message) as caught:
        segment(volume, Geometry(shape if volume.ndim < 5 else (20, 20, 20), np.eye(4)), tiny_model)
    assert "\n" not in str(caught.value)


def test_a_huge_voxel_is_still_the_brightest(threshold_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    volume[10, 10, 10] = np.finfo(np.float32).max
    before = volume.copy()
    labelmap, _ = segment(volume, Geometry(volume.shape, np.eye(4)), threshold_model)
    assert labelmap[10, 10, 10] == 1
    assert np.array_equal(volume, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["kidney"]}, "no label 'kidney'; it has: left, right"),
        ({"device": "cuda:99"}, "no device 'cuda:99'"),
        ({"roi": RegionOfInterest((900, 950, 0, 9, 0, 9))}, "outside the volume"),
    ],
)
def test_bad_arguments_get_one_sentence(arguments: dict, message: str, tiny_model: LoadedModel) -> None:
    with pytest.raises(ValueError, match=message):
        segment(np.zeros((20, 20, 20), np.float32), Geometry((20, 20, 20), np.eye(4)), tiny_model, **arguments)


def test_an_empty_region_is_refused() -> None:
    with pytest.raises(ValueError, match="is empty"):
        RegionOfInterest((5, 5, 0, 9, 0, 9))


def test_short_memory_steps_down_the_ladder_and_says_so(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = np.random.default_rng(0).normal(size=(40, 24, 40)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    expected, _ = segment(volume, geometry, tiny_model)
    monkeypatch.setattr("mednextseg.segment.windows.memory_plan.available_bytes", lambda: 0)
    labelmap, report = segment(volume, geometry, tiny_model, recipe=SegmentRecipe(batch_size=4))
    assert np.array_equal(labelmap, expected)
    assert ["one window at a time" in report.notes[0], "on disk" in report.notes[1]] == [True, True]


def test_the_report_is_json_ready(tiny_model: LoadedModel) -> None:
    import json

    volume = np.zeros((20, 20, 34), np.float32)
    _, report = segment(volume, Geometry(volume.shape, np.eye(4)), tiny_model)
    assert isinstance(report, SegmentReport)
    loaded = json.loads(json.dumps(report.to_dict()))
    assert loaded["model_id"] == "tiny" and "constant" in loaded["warnings"][0]


def test_spacing_far_from_the_models_is_warned_about(tiny_model: LoadedModel) -> None:
    card = replace(tiny_model.card, spacing_kji_mm=(1.0, 1.0, 1.0))
    model = LoadedModel(tiny_model.folder, card)
    volume = np.random.default_rng(0).normal(size=(4, 20, 34)).astype(np.float32)
    _, report = segment(volume, Geometry(volume.shape, np.diag([1, 1, 6.0, 1])), model)
    assert "1 x 1 x 6 mm is far from" in report.warnings[0]


@pytest.mark.parametrize(
    ("spacing_mm", "said"), [(0.05, "check that"), (0.3, None), (1.0, None), (2.4, None), (3.0, "may be missed")]
)
def test_finer_volumes_are_as_good_as_the_models_own(tiny_model: LoadedModel, spacing_mm: float, said: str | None) -> None:
    card = replace(tiny_model.card, spacing_kji_mm=(1.0, 1.0, 1.0))
    volume_ckji = np.random.default_rng(0).normal(size=(1, 4, 4, 4))
    warnings = warnings_for(volume_ckji, Geometry((4, 4, 4), np.diag([spacing_mm] * 3 + [1])), card)
    assert [said in warning for warning in warnings] == ([True] if said else [])
