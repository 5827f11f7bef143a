"""Splits, data sets, plans of tables and clean-up rules of any content are read as they were meant or refused in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from json_inputs import JSON_VALUES, changed, is_one_sentence

from mednextseg.adapt.mednext.dataset import open_dataset
from mednextseg.cases.splits import read_split
from mednextseg.evaluate.compare.plan import read_plan
from mednextseg.models.importers.nnunet_rules import rules_of_v1, rules_of_v2

SPLITS = [{"train": ["a", "b"], "val": ["c"]}]
DATASET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "organ": 1, "lesion": 2},
    "file_ending": ".nii.gz",
    "label_presence": {"a": ["organ"]},
    "name": "set",
}
PLAN = {
    "models": [{"name": "m", "model": "hippocampus-mr", "pairs": {"a": "b"}}, {"name": "p", "predictions": "{dataset}/p"}],
    "datasets": [
        {"name": "d", "images": "i", "references": "r", "labels": {"organ": 1}, "cases": ["a"], "tolerances_mm": {"organ": 1}}
    ],
    "tolerances_mm": {"organ": 2},
}
RULES_V1 = {"for_which_classes": [1, [1, 2]], "min_valid_object_sizes": "{1: 5.0, (1, 2): 7.0}"}
RULES_V2 = {
    "postprocessing_fns": ["remove_all_but_largest_component_from_segmentation"],
    "postprocessing_kwargs": [{"labels_or_regions": 1}],
}
NAMES = {1: "organ", 2: "lesion"}


def _split(folder: Path) -> object:
    return read_split(folder / "table.json")


def _dataset(folder: Path) -> object:
    (folder / "dataset.json").write_bytes((folder / "table.json").read_bytes())
    (folder / "splits_final.json").write_text(json.dumps(SPLITS))
    for kind, suffix in (("imagesTr", "_0000"), ("labelsTr", "")):
        (folder / kind).mkdir(exist_ok=True)
        for name in "abc":
            (folder / kind / f"{name}{suffix}.nii.gz").touch()
    return open_dataset(folder)


def _plan(folder: Path) -> object:
    return read_plan(folder / "table.json", None, "cpu")


def _rules(read: Callable[[Path], object]) -> Callable[[Path], object]:
    def rules(folder: Path) -> object:
        fold = folder / "trainer" / "fold_0"
        fold.mkdir(parents=True, exist_ok=True)
        (folder / "trainer" / "postprocessing.json").write_bytes((folder / "table.json").read_bytes())
        return read(fold / "checkpoint_final.pth")

    return rules


@pytest.mark.parametrize(
    ("read", "good"),
    [
        (_split, SPLITS),
        (_split, SPLITS[0]),
        (_dataset, DATASET),
        (_plan, PLAN),
        (_rules(lambda file: rules_of_v1(file, NAMES)), RULES_V1),
        (_rules(lambda file: rules_of_v2([file], NAMES)), RULES_V2),
    ],
    ids=["splits", "split", "dataset", "plan", "rules_v1", "rules_v2"],
)
def test_any_content_is_read_or_refused_in_one_sentence(tmp_path: Path, read: Callable[[Path], object], good: Any) -> None:
    (tmp_path / "table.json").write_text(json.dumps(good), encoding="utf-16")
    read(tmp_path)

    @settings(max_examples=80)
    @given(changed(good) | JSON_VALUES)
    def check(raw: object) -> None:
        (tmp_path / "table.json").write_text(json.dumps(raw))
        try:
            read(tmp_path)
        except (ValueError, OSError) as error:
            assert is_one_sentence(error), error

    check()


def test_labels_of_a_training_are_numbered_without_a_gap(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps({**DATASET, "labels": {"background": 0, "organ": 1, "lesion": 3}}))
    with pytest.raises(ValueError, match=r"numbered 1, 2, ... without a gap, got \[1, 3\]"):
        _dataset(tmp_path)
