"""The clean-up and normalization rules that nnU-Net's files bring are applied as nnU-Net applies them."""

import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from nnunet_folders import v1_folder, v2_folder

from mednextseg.models.clean_up import ComponentRule
from mednextseg.models.importers import import_model
from mednextseg.models.library import library_folder
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.finish.clean_labels import clean_labels

LABELS = {"background": 0, "a": 1, "b": 2}
FUNCTION = "remove_all_but_largest_component_from_segmentation"


@pytest.fixture
def nnunetv2(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module under nnU-Net's name, so that pickling writes what nnU-Net's own pickle holds."""
    name = "nnunetv2.postprocessing.remove_connected_components"
    module = types.ModuleType(name)
    exec(
        f"def {FUNCTION}(segmentation, labels_or_regions, background_label=0): ...\ndef own_rule(segmentation): ...",
        module.__dict__,
    )
    for function in (FUNCTION, "own_rule"):
        getattr(module, function).__module__ = name
    for parent in ("nnunetv2", "nnunetv2.postprocessing"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def imported_v1(tmp_path: Path, rules: dict) -> ModelCard:
    trainer = v1_folder(tmp_path / "results")
    (trainer / "postprocessing.json").write_text(json.dumps(rules))
    return import_model(trainer).card


def test_version_1_cleans_joint_labels_and_single_ones_in_order(tmp_path: Path) -> None:
    # As nnU-Net v1 writes it: no sizes is the text "None".
    card = imported_v1(tmp_path, {"for_which_classes": [[1, 2], 1], "min_valid_object_sizes": "None", "num_samples": 4})
    assert card.component_rules == (ComponentRule(("label 1", "label 2")), ComponentRule(("label 1",)))
    assert card.postprocessing == {}
    labelmap = np.zeros((3, 3, 9), dtype=np.uint8)
    labelmap[0, 0, :4] = [1, 2, 2, 1]  # the larger of both together
    labelmap[0, 0, 6:9] = 1
    labelmap[1, 1, 4] = 1  # touches the first part by an edge only: faces decide in version 1
    assert clean_labels(labelmap, card, 1.0)[0, 0].tolist() == [1, 2, 2, 1, 0, 0, 0, 0, 0]
    assert clean_labels(labelmap, card, 1.0)[1, 1, 4] == 0


def test_version_1_keeps_parts_from_the_size_it_found(tmp_path: Path) -> None:
    card = imported_v1(tmp_path, {"for_which_classes": [[1, 2], 2], "min_valid_object_sizes": "{(1, 2): 4.5, 2: 100.0}"})
    assert [rule.keep_from_mm3 for rule in card.component_rules] == [4.5, 100.0]
    labelmap = np.zeros((1, 1, 12), dtype=np.uint8)
    labelmap[0, 0] = [1, 1, 1, 1, 0, 1, 1, 1, 0, 2, 2, 0]
    assert clean_labels(labelmap, card, voxel_volume_mm3=1.5)[0, 0].tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("place", ["", "crossval_results_folds_0"])
@pytest.mark.parametrize("kind", ["json", "pkl"])
def test_version_2_cleans_labels_and_regions_across_corners(
    place: str, kind: str, nnunetv2: types.ModuleType, tmp_path: Path
) -> None:
    trainer = v2_folder(tmp_path / "results", LABELS, 3)
    folder = trainer / place
    folder.mkdir(exist_ok=True)
    arguments = [{"labels_or_regions": [1, 2]}, {"labels_or_regions": 2}, {"labels_or_regions": (1, 3)}]
    if kind == "json":
        content = {"postprocessing_fns": [FUNCTION] * 3, "postprocessing_kwargs": arguments, "input_folder": {}}
        (folder / "postprocessing.json").write_text(json.dumps(content))
    else:
        (folder / "postprocessing.pkl").write_bytes(pickle.dumps(([getattr(nnunetv2, FUNCTION)] * 3, arguments)))
    card = import_model(trainer / "fold_0").card
    expected = [ComponentRule(labels, "corners") for labels in (("a", "b"), ("b",), ("a",))]
    assert list(card.component_rules) == expected
    labelmap = np.zeros((4, 4, 4), dtype=np.uint8)
    labelmap[0, 0, 0], labelmap[1, 1, 1], labelmap[3, 3, 3] = 1, 2, 2
    cleaned = clean_labels(labelmap, card, 1.0)
    assert (cleaned[0, 0, 0], cleaned[1, 1, 1], cleaned[3, 3, 3]) == (1, 2, 0)


def test_regions_are_cleaned_under_the_numbers_they_are_painted_with(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    trainer = v2_folder(tmp_path / "results", labels, 3, regions_class_order=[1, 2, 3])
    arguments = [{"labels_or_regions": [1, 2, 3]}, {"labels_or_regions": [2, 3]}]
    rules = {"postprocessing_fns": [FUNCTION] * 2, "postprocessing_kwargs": arguments}
    (trainer / "postprocessing.json").write_text(json.dumps(rules))
    card = import_model(trainer).card
    assert [rule.labels for rule in card.component_rules] == [("whole", "core", "enhancing"), ("core", "enhancing")]


def test_files_beside_a_lone_checkpoint_are_not_its_own(tmp_path: Path) -> None:
    trainer = v2_folder(tmp_path / "results", LABELS, 3)
    (trainer / "fold_0").rename(trainer / "downloads")
    (trainer / "postprocessing.json").write_text("{}")
    assert import_model(trainer / "downloads" / "checkpoint_final.pth", model_id="lone").card.component_rules == ()


class RunsCode:
    def __reduce__(self) -> tuple:
        import os

        return os.system, ("touch was-here",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"postprocessing_fns": ["my_rule"], "postprocessing_kwargs": [{}]}, "cleans up by my_rule, which is not known"),
        ({"postprocessing_fns": [FUNCTION], "postprocessing_kwargs": [{"labels_or_regions": 1, "best": 2}]}, "'best'"),
        (
            {"postprocessing_fns": [FUNCTION], "postprocessing_kwargs": [{"labels_or_regions": "all"}]},
            "'all', which is no label",
        ),
        ({"postprocessing_fns": [FUNCTION], "postprocessing_kwargs": []}, "not nnU-Net's list of clean-up steps"),
        ([1], "must be one JSON object"),
    ],
)
def test_clean_up_that_is_not_known_is_refused_with_the_reason(content: object, reason: str, tmp_path: Path) -> None:
    trainer = v2_folder(tmp_path / "results", LABELS, 3)
    (trainer / "postprocessing.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=reason) as refusal:
        import_model(trainer)
    assert "\n" not in str(refusal.value) and list(library_folder().iterdir() if library_folder().exists() else []) == []


def test_pickled_clean_up_runs_nothing(nnunetv2: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = v2_folder(tmp_path / "results", LABELS, 3)
    function = getattr(nnunetv2, FUNCTION)

    class CallsIt:
        def __reduce__(self) -> tuple:
            return function, (np.zeros(1),)

    hostile = (RunsCode(), CallsIt(), ([nnunetv2.own_rule], [{}]), ([function], "x"), 3)
    for content in hostile:
        (trainer / "postprocessing.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=r"postprocessing\.pkl") as refusal:
            import_model(trainer)
        assert "\n" not in str(refusal.value)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"for_which_classes": [1], "min_valid_object_sizes": "{2: 3.0}"}, "no smallest size for 1"),
        ({"for_which_classes": [1], "min_valid_object_sizes": "__import__('os')"}, "cannot be read"),
        ({"for_which_classes": [1], "min_valid_object_sizes": "[1]"}, "no table of labels"),
        ({"for_which_classes": [0]}, "cleans up 0, which is no label"),
    ],
)
def test_version_1_rules_that_make_no_sense_are_refused(rules: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        imported_v1(tmp_path, rules)


def test_ct2_standardizes_by_the_case_between_the_data_sets_bounds(tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path, normalization_schemes={0: "CT2"}, use_mask_for_norm={0: True})
    normalization = import_model(trainer).card.channels[0].normalization
    assert (normalization.scheme, normalization.lower, normalization.upper) == ("clip_zscore", -5.0, 5.0)
    assert normalization.masked
