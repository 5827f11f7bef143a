"""A folder is run over again only where model, recipe or image changed; files of other people are neither taken over nor overwritten."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.cases.done_before import recorded_run, run_key
from mednextseg.cases.runs import _segment_one, _stored_key, run_model
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.models.model_card import read_card
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segmentation_io import read_segmentation, write_segmentation
from mednextseg.volume_io import image_of, write_image

GRID = Geometry((18, 17, 20), np.eye(4))


def save_image(file: Path, seed: int) -> None:
    write_image(image_of(np.random.default_rng(seed).normal(size=GRID.shape_kji).astype(np.float32), GRID), file)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with two cases, and two models of different weights."""
    for seed, name in enumerate(("one", "two")):
        (tmp_path / "in").mkdir(exist_ok=True)
        save_image(tmp_path / "in" / f"{name}.nii.gz", seed)
        write_package(tmp_path / f"model{seed}", tiny_mednext(seed=seed), ("left", "right"))
    return tmp_path


def run(work: Path, *more: str, model: str = "model0", output: str = "out") -> int:
    return main(["segment", str(work / "in"), "-o", str(work / output), "--model", str(work / model), *more])


def test_only_what_changed_is_done_again(work: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(work) == 0
    capsys.readouterr()
    assert run(work) == 0
    assert capsys.readouterr().err.count("done before") == 2
    first = read_segmentation(work / "out" / "one.seg.nrrd").labelmap_kji
    save_image(work / "in" / "two.nii.gz", 7)
    assert run(work) == 0
    said = capsys.readouterr().err
    assert said.count("done before") == 1 and "two.seg.nrrd is of another model, recipe or image" in said
    (work / "recipe.json").write_text(json.dumps({"overlap": 0.25}), encoding="utf-8")
    for done, model, more in (
        (0, "model0", ["--recipe", str(work / "recipe.json")]),
        (2, "model0", ["--recipe", str(work / "recipe.json")]),
        (0, "model1", []),
        (0, "model1", ["--labels", "left"]),
    ):
        assert run(work, *more, model=model) == 0
        assert capsys.readouterr().err.count("done before") == done
    assert not np.array_equal(first, np.zeros_like(first))
    assert {file.name for file in (work / "out").iterdir()} == {"one.seg.nrrd", "two.seg.nrrd"}, "no files beside the results"


def test_results_beside_the_images_are_safe(work: Path, capsys: pytest.CaptureFixture) -> None:
    images = {file: file.read_bytes() for file in (work / "in").iterdir()}
    drawn = np.ones(GRID.shape_kji, np.uint8)
    write_segmentation(work / "in" / "two.seg.nrrd", drawn, GRID, [Label(1, "by hand", (1, 2, 3))])
    assert run(work, output="in") == 1
    assert "does not say which run made it" in capsys.readouterr().err
    assert np.array_equal(read_segmentation(work / "in" / "two.seg.nrrd").labelmap_kji, drawn), "not overwritten"
    assert read_segmentation(work / "in" / "one.seg.nrrd").labelmap_kji.any()
    assert {file: file.read_bytes() for file in images} == images
    (work / "in" / "two.seg.nrrd").unlink()
    assert run(work, output="in") == 0
    assert capsys.readouterr().err.count("done before") == 1, "results are not taken for images"


def test_a_table_s_runs_follow_model_and_image_too(work: Path) -> None:
    cases, done = {"one": [work / "in" / "one.nii.gz"]}, []
    for model in ("model0", "model0", "model1"):
        assert run_model(str(work / model), SegmentRecipe(), "cpu", cases, work / "runs", done.append) == {}
    assert len(done) == 2
    (work / "runs" / "one.cost.json").write_text("[", encoding="utf-8")
    assert run_model(str(work / "model1"), SegmentRecipe(), "cpu", cases, work / "runs", done.append) == {}
    assert len(done) == 3, "a damaged record is no record"


def test_labels_of_one_run_never_stand_beside_the_record_of_another(work: Path) -> None:
    file, output = work / "in" / "one.nii.gz", work / "one"
    _segment_one(str(work / "model0"), {}, "cpu", [file], output, "of model0")
    assert _stored_key(work, "one") == "of model0"
    with pytest.raises(TypeError):  # the run ends between its labels and its record, which JSON cannot say
        _segment_one(str(work / "model1"), {}, "cpu", [file], output, b"no key")
    assert _stored_key(work, "one") is None


def test_the_key_stands_in_the_result(work: Path) -> None:
    assert run(work) == 0
    key = run_key(read_card(work / "model0"), SegmentRecipe(), [work / "in" / "one.nii.gz"], None, None, False)
    assert recorded_run(work / "out" / "one.seg.nrrd") == key
    assert recorded_run(work / "in" / "one.nii.gz") is None
