"""A model of a region refuses a whole head unless somebody insists; crops like those it was trained on pass, however they are stored."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import tiny_mednext, write_package

from mednextseg import load_model, segment
from mednextseg.cli import main
from mednextseg.evaluate.compare.ranking import rank_models
from mednextseg.evaluate.review import predict_review_slices
from mednextseg.geometry import Geometry, axis_map
from mednextseg.labels.label import Label
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import read_card
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segmentation_io import Segmentation
from mednextseg.volume_io import write_image

ORIENTATIONS = ["".join(p) for letters in product("RL", "AP", "SI") for p in permutations(letters)]
HIPPOCAMPUS = read_card(bundled_models_folder() / "hippocampus-mr")


def grid(extent_ras_mm: tuple, spacing_ras_mm: tuple = (1, 1, 1), code: str = "RAS") -> Geometry:
    """A grid of about this extent in the patient, stored in any order."""
    shape = [max(2, round(mm / s)) for mm, s in zip(extent_ras_mm[::-1], spacing_ras_mm[::-1], strict=True)]
    return axis_map("RAS", code).apply_geometry(Geometry(tuple(shape), np.diag([*map(float, spacing_ras_mm), 1.0])))


@given(
    st.tuples(st.floats(31, 43), st.floats(40, 59), st.floats(24, 47)),  # the crops of the Medical Segmentation Decathlon
    st.tuples(*[st.floats(0.4, 3)] * 3),
    st.sampled_from(ORIENTATIONS),
)
def test_crops_like_those_it_was_trained_on_pass(extent: tuple, spacing: tuple, code: str) -> None:
    assert HIPPOCAMPUS.needs_region
    assert check_region(grid(extent, spacing, code), HIPPOCAMPUS, None) == []


@given(
    st.tuples(st.floats(130, 260), st.floats(160, 260), st.floats(120, 260)),
    st.tuples(*[st.floats(0.7, 6)] * 3),
    st.sampled_from(ORIENTATIONS),
)
def test_a_head_is_refused_unless_somebody_insists(extent: tuple, spacing: tuple, code: str) -> None:
    geometry = grid(extent, spacing, code)
    everywhere = RegionOfInterest((-1e6, 1e6) * 3)
    for roi in (None, everywhere):
        with pytest.raises(ValueError, match=r"needs a region of interest.*64 x 96 x 64 mm.*--whole"):
            check_region(geometry, HIPPOCAMPUS, roi)
        assert "only knows boxes" in check_region(geometry, HIPPOCAMPUS, roi, whole=True)[0], "the report says it, too"
    low, high = geometry.corners_ras().min(axis=0), geometry.corners_ras().max(axis=0)
    middle = (low + high) / 2
    box = RegionOfInterest(tuple(v for c, half in zip(middle, (18, 25, 20), strict=True) for v in (c - half, c + half)))
    assert check_region(geometry, HIPPOCAMPUS, box) == []
    assert check_region(geometry, replace(HIPPOCAMPUS, needs_region=False), None) == []


def test_a_large_region_runs_with_a_warning() -> None:
    found = check_region(grid((180, 220, 170)), HIPPOCAMPUS, RegionOfInterest((10, 130, 10, 60, 10, 60)))
    assert len(found) == 1 and "121 x 51 x 51 mm" in found[0]


@pytest.fixture
def regional(tmp_path: Path) -> LoadedModel:
    """A tiny model whose card asks for a region; its window is 32 x 16 x 16 mm."""
    return load_model(write_package(tmp_path / "regional", tiny_mednext(), ("left", "right"), needs_region=True))


def test_python_and_the_command_line_refuse_and_obey(
    regional: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    volume = np.random.default_rng(0).normal(size=(40, 33, 34)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    with pytest.raises(ValueError, match="needs a region of interest in a volume of 34 x 33 x 40 mm"):
        segment(volume, geometry, regional)
    expected, report = segment(volume, geometry, regional, whole=True)
    assert set(np.unique(expected)) == {0, 1, 2} and "only knows boxes" in report.warnings[0]
    assert segment(volume[:30, :30], Geometry((30, 30, 34), np.eye(4)), regional)[1].warnings == []

    write_image(sitk.GetImageFromArray(volume), tmp_path / "head.nii.gz")
    arguments = ["segment", str(tmp_path / "head.nii.gz"), "-o", str(tmp_path / "out.nrrd"), "--model", str(regional.folder)]
    assert main(arguments) == 1
    assert "needs a region" in capsys.readouterr().err and not (tmp_path / "out.nrrd").exists()
    assert main([*arguments, "--whole"]) == 0
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nrrd"))) > 0).any()


def test_the_search_for_slices_to_review_and_the_ranking_refuse_it_too(regional: LoadedModel) -> None:
    volume = np.random.default_rng(0).normal(size=(40, 33, 34)).astype(np.float32)
    geometry = Geometry(volume.shape, np.eye(4))
    with pytest.raises(ValueError, match="needs a region of interest"):
        predict_review_slices(volume, geometry, regional)
    assert predict_review_slices(volume, geometry, regional, whole=True)
    labels = Segmentation((volume > 0).astype(np.uint8), geometry, (Label(1, "left", (255, 0, 0)),))
    with pytest.raises(ValueError, match="rank it on images cut to such boxes"):
        rank_models([regional], [(volume, geometry, labels)] * 2)
