"""Folders as TotalSegmentator stores its weights become one model with the labels, codes and licenses of its tasks."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_unets import architecture, results_folder, trained
from tiny_models import copy_with

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model, totalsegmentator
from mednextseg.models.importers.naming import slug
from mednextseg.models.install.licenses import needs_consent
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.weights import network_from_state_dict
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.find_and_segment import find_and_segment
from mednextseg.segment.recipe import SegmentRecipe

TABLE = json.loads(Path(totalsegmentator.__file__).with_suffix(".json").read_text())
ENTRY = architecture("PlainConvUNet", ([[1, 1, 1], [2, 2, 2]], [[3, 3, 3]] * 2), widths=[4, 4])
SHAPE_KJI = (8, 16, 16)
IMAGE = np.random.default_rng(5).normal(40, 60, SHAPE_KJI).astype(np.float32)
TOTAL = (291, 292, 293, 294, 295)


def dataset(root: Path, number: int) -> Path:
    """The folder of one of its data sets around a tiny network; its dataset.json has names of its own."""
    labels = [f"class {n}" for n in range(len(TABLE["labels"][str(number)]))]
    name = TABLE["folders"][str(number)] + ("_v204" if number == 297 else "")
    return results_folder(root, ENTRY, labels=labels, dataset_name=name, folds=1).parent


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of its files: the five parts of "total", the fast model, and a licensed task."""
    root = tmp_path_factory.mktemp("totalsegmentator") / "nnunet" / "results"
    for number in (*TOTAL, 297, 303):
        dataset(root, number)
    return root


@pytest.fixture
def total(results: Path, home: Path) -> LoadedModel:
    return load_model(import_model(results.parents[1]).folder)


def test_the_five_parts_are_one_model_of_117_labels(total: LoadedModel) -> None:
    card = total.card
    assert (card.id, card.title) == ("totalsegmentator-total", "TotalSegmentator total")
    assert [label.name for label in card.labels] == TABLE["labels_of_tasks"]["total"] and len(card.labels) == 117
    liver = card.label_named("liver")
    assert liver.value == 5 and liver.terminology["type"] == ("SCT", "10200004", "Liver")
    assert sum("type" in label.terminology for label in card.labels) >= 110
    assert card.weights_license == "Apache-2.0" and not needs_consent(card) and card.orientation == "RAS"
    assert "Dataset297_TotalSegmentator_total_3mm_1559subj_v204" in card.description


def test_parts_are_painted_in_their_order(total: LoadedModel) -> None:
    geometry = Geometry(SHAPE_KJI, np.diag([1.0, 1.0, 2.0, 1.0]))
    labels, report = segment(IMAGE, geometry, total, device="cpu")
    x = torch.from_numpy((np.clip(IMAGE, -100, 200) - 20) / 50)[None, None].float()
    expected, numbers = np.zeros(SHAPE_KJI, dtype=int), {label.name: label.value for label in total.card.labels}
    for number in TOTAL:
        names = TABLE["labels"][str(number)]
        with torch.no_grad():
            found = network_from_state_dict(trained(ENTRY, classes=1 + len(names)), ENTRY)(x).argmax(1)[0].numpy()
        own = np.array([0, *(numbers[name] for name in names)])[found]
        expected = np.where(own > 0, own, expected)
    assert len(np.unique(expected)) > 10 and (labels == expected).mean() >= 0.999
    assert report.windows.full == 5 and set(report.volumes_ml) == set(numbers)


def test_only_parts_that_have_a_wanted_label_run(total: LoadedModel) -> None:
    geometry = Geometry(SHAPE_KJI, np.diag([1.0, 1.0, 2.0, 1.0]))
    recipe = SegmentRecipe.from_dict({"postprocessing": {"spleen": {"keep_largest": True}}})
    labels, report = segment(IMAGE, geometry, total, labels=["spleen", "liver"], recipe=recipe, device="cpu")
    assert report.windows.full == 1 and set(np.unique(labels)) <= {0, 1, 5}


def test_a_folder_alone_is_the_model_it_names(results: Path, home: Path, tmp_path: Path) -> None:
    fast = import_model(results / "Dataset297_TotalSegmentator_total_3mm_1559subj_v204").card
    assert (fast.id, fast.title, len(fast.labels)) == ("totalsegmentator-total-fast", "TotalSegmentator total (fast)", 117)
    organs = import_model(next(results.glob("Dataset291_*/*/fold_0"))).card
    assert organs.id == "totalsegmentator-total-291" and [label.name for label in organs.labels] == TABLE["labels"]["291"]
    archive = shutil.make_archive(str(tmp_path / "face"), "zip", results, "Dataset303_face_1559subj")
    face = import_model(archive).card
    assert needs_consent(face) and face.weights_license.startswith("TotalSegmentator license: free for non-commercial use")


def test_missing_parts_and_several_models_are_named(results: Path, home: Path, tmp_path: Path) -> None:
    for number in (291, 294):
        dataset(tmp_path / "some", number)
    lacking = "Dataset292_TotalSegmentator_part2_vertebrae_1532subj, Dataset293"
    with pytest.raises(ValueError, match=f"has a part of TotalSegmentator's total but lacks {lacking}"):
        import_model(tmp_path / "some")
    for number in (297, 303):
        dataset(tmp_path / "two", number)
    with pytest.raises(ValueError, match=r"holds several models of TotalSegmentator .*Dataset303.*; give the folder of one"):
        import_model(tmp_path / "two")


def test_a_task_that_is_cropped_first_looks_around_what_the_3_mm_model_finds(results: Path, home: Path, tmp_path: Path) -> None:
    model = load_model(import_model(dataset(tmp_path / "vessels", 8)).folder)
    source = model.card.region_from
    assert (source.model, source.labels, source.together) == ("totalsegmentator-total-fast", ("liver",), True)
    geometry = Geometry(SHAPE_KJI, np.diag([1.0, 1.0, 2.0, 1.0]))
    _, report = find_and_segment(IMAGE, geometry, model, device="cpu")
    assert "totalsegmentator-total-fast is not installed" in report.notes[-1] and not report.regions
    coarse = load_model(import_model(results / "Dataset297_TotalSegmentator_total_3mm_1559subj_v204").folder)
    found, _ = segment(IMAGE, geometry, coarse, device="cpu")
    some = next(
        label.name for label in coarse.card.labels if (found == label.value).any()
    )  # its random weights may know no liver
    around = {"model": source.model, "labels": [some], "margin_mm": 1, "together": True}
    model = load_model(copy_with(model.folder, tmp_path / "around", region_from=around))
    cropped, report = find_and_segment(IMAGE, geometry, model, device="cpu")
    (region,) = report.regions
    assert region["names"] == [some] and report.coarse_model["id"] == "totalsegmentator-total-fast"
    assert cropped.any() and not region["enlarged"]


def test_the_table_is_whole() -> None:
    by_id = {slug("totalsegmentator", task.name, task.mode): task for task in totalsegmentator.tasks()}
    for task in totalsegmentator.tasks():
        if task.crop:
            coarse = by_id[task.region_from["model"]]
            names = TABLE["labels_of_tasks"].get(coarse.name) or TABLE["labels"][str(coarse.datasets[0])]
            assert set(task.crop) <= set(names) and coarse.mode == ("" if task.crop_task else "fast")
        for number in task.datasets:
            assert TABLE["folders"][str(number)].startswith(f"Dataset{number:03}_") and TABLE["labels"][str(number)]
        if len(task.datasets) > 1:
            of_parts = [name for number in task.datasets for name in TABLE["labels"][str(number)]]
            assert sorted(of_parts) == sorted(TABLE["labels_of_tasks"][task.name])
    assert all(len(set(names)) == len(names) for names in TABLE["labels"].values())
