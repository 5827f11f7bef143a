"""Slices to review: entropy in square millimeters, where it lies in the patient, and that it points at errors."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from mednextseg.cli import main
from mednextseg.evaluate.review import (
    ReviewSlice,
    binary_entropy,
    predict_review_slices,
    review_slices,
    worst_first_with_gap,
)
from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import card_from_dict
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.volume_io import image_of, write_image


@given(st.floats(0, 1))
def test_entropy_is_one_bit_at_one_half_and_none_where_the_network_is_sure(p: float) -> None:
    value = float(binary_entropy(torch.tensor(p, dtype=torch.float64)))
    assert 0 <= value <= 1 + 1e-12
    assert value == pytest.approx(float(binary_entropy(torch.tensor(1 - p, dtype=torch.float64))), abs=1e-9)
    assert float(binary_entropy(torch.tensor(0.5))) == pytest.approx(1)
    assert float(binary_entropy(torch.tensor(0.0))) == 0


def test_an_undecided_patch_counts_with_its_area_and_place() -> None:
    matrix = np.diag([2.0, 3.0, 5.0, 1.0])
    matrix[:3, 3] = (10, 20, 30)
    probability = np.zeros((2, 6, 8, 8))
    probability[0, 1:5, 2:6, 2:6] = 1.0
    probability[0, 3, 2:4, 4:6] = 0.5
    first, *rest = review_slices(probability, Geometry((6, 8, 8), matrix), ["liver", "spleen"])
    assert (first.label, first.uncertain_mm2) == ("liver", pytest.approx(4 * 2 * 3))
    assert first.center_ras == pytest.approx((10 + 2 * 4.5, 20 + 3 * 2.5, 30 + 5 * 3))
    assert first.segment_mm2 == pytest.approx((12 + 4 * 0.5) * 6)
    assert rest == [], "slices without any doubt, and segments that are nowhere likely, are not offered"


def test_neighboring_slices_are_offered_once() -> None:
    slices = [ReviewSlice("a", (0, 0, z), 10 - z, 1.0) for z in range(6)] + [ReviewSlice("b", (0, 0, 0), 1.0, 1.0)]
    kept = worst_first_with_gap(slices, 3, gap_mm=3.0)
    assert [(s.label, s.center_ras[2]) for s in kept] == [("a", 0), ("a", 3), ("b", 0)]


def test_uncertain_slices_are_those_with_errors() -> None:
    # A calibrated guess: the truth is drawn from the probabilities, blurred from slice to slice by another amount.
    random = np.random.default_rng(0)
    disk = np.zeros((24, 40, 40))
    disk[:, 10:30, 10:30] = 1
    probability = np.stack([gaussian_filter(plane, 0.3 + 0.25 * (k % 8)) for k, plane in enumerate(disk)])
    truth = random.random(probability.shape) < probability
    errors = (truth != (probability > 0.5)).sum(axis=(1, 2))
    found = review_slices(probability[None], Geometry(probability.shape, np.eye(4)), ["disk"])
    by_plane = {round(s.center_ras[2]): s.uncertain_mm2 for s in found}
    assert spearmanr([by_plane[k] for k in range(24)], errors).statistic > 0.9


def test_a_model_lists_its_slices_in_the_volume_s_own_place(tiny_model: LoadedModel) -> None:
    matrix = np.diag([-1.0, -1.0, 2.0, 1.0])  # LPS axes, coarse slices; the network works on RAS at 1 mm
    matrix[:3, 3] = (30, 40, -50)
    geometry = Geometry((10, 20, 34), matrix)
    volume = np.random.default_rng(0).normal(size=geometry.shape_kji).astype(np.float32)
    found = predict_review_slices(volume, geometry, tiny_model)
    assert {s.label for s in found} <= {"left", "right"}
    assert len(found) > 10
    assert [s.uncertain_mm2 for s in found] == sorted((s.uncertain_mm2 for s in found), reverse=True)
    inside = geometry.ijk_from_ras(np.array([s.center_ras for s in found]))
    assert (inside > -1).all()
    assert (inside < np.array(geometry.shape_ijk)).all()
    area = 20 * 34
    assert all(0 < s.uncertain_mm2 <= area and 0 < s.segment_mm2 <= area for s in found)


def test_only_the_region_of_interest_is_reviewed(tiny_model: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(24, 32, 48)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    region = RegionOfInterest((4, 30, 6, 24, 5, 17))
    found = predict_review_slices(volume, geometry, tiny_model, region)
    low, high = np.array([(4, 6, 5), (30, 24, 17)], dtype=float)
    centers = np.array([s.center_ras for s in found])
    assert (centers >= low).all()
    assert (centers <= high).all()
    assert set(centers[:, 2]) == set(range(5, 18)), "slices of the margin are not listed"
    assert max(s.uncertain_mm2 for s in found) <= 27 * 19


def test_mirror_images_are_averaged_whatever_the_recipe_says(tiny_model: LoadedModel) -> None:
    card = card_from_dict({**tiny_model.card.to_dict(), "mirror_axes_kji": [2]})
    volume = np.random.default_rng(1).normal(size=(16, 16, 32)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    plain = predict_review_slices(volume, geometry, tiny_model)
    mirrored = predict_review_slices(volume, geometry, LoadedModel(tiny_model.folder, card), recipe=SegmentRecipe(tta=False))
    mirrored_volume = predict_review_slices(volume[..., ::-1].copy(), geometry, LoadedModel(tiny_model.folder, card))
    assert [s.uncertain_mm2 for s in mirrored] == pytest.approx([s.uncertain_mm2 for s in mirrored_volume], rel=1e-3)
    assert [s.uncertain_mm2 for s in mirrored] != pytest.approx([s.uncertain_mm2 for s in plain], rel=1e-3)


def test_the_command_line_lists_the_slices_of_the_labels_kept(
    tiny_model: LoadedModel, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    volume = np.random.default_rng(2).normal(size=(20, 16, 32)).astype(np.float32)
    geometry = Geometry(volume.shape, np.diag([1.0, 1.0, 1.0, 1.0]))
    write_image(image_of(volume, geometry), tmp_path / "in.nii.gz")
    arguments = [
        "segment",
        str(tmp_path / "in.nii.gz"),
        "-o",
        str(tmp_path / "out.seg.nrrd"),
        "--model",
        str(tiny_model.folder),
    ]
    arguments += ["--labels", "right", "--device", "cpu", "--review", "4"]
    assert main([*arguments, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["review"]
    found = [s for s in predict_review_slices(volume, geometry, tiny_model) if s.label == "right"]
    expected = [asdict(s) for s in worst_first_with_gap(found, 4, 3.0)]
    assert len(listed) == 4
    for item, wanted in zip(listed, expected, strict=True):
        assert item["label"] == "right"
        assert item["center_ras"] == pytest.approx(wanted["center_ras"], abs=1e-3)
        assert item["uncertain_mm2"] == pytest.approx(wanted["uncertain_mm2"], rel=1e-4)
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("right ") for line in lines) == 1 + 4, "its volume, and four slices"
