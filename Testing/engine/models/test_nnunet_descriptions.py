"""dataset.json and plans.json in every form that nnU-Net accepts; anything else is refused in one sentence, and tilts are left alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from json_inputs import JSON_VALUES, changed, is_one_sentence
from nnunet_folders import v2_folder
from scipy.spatial.transform import Rotation
from tiny_models import tiny_mednext, write_package

from mednextseg import load_model, segment
from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.importers.nnunet_dataset import channel_names, label_values
from mednextseg.models.importers.nnunet_v2 import read_nnunet_v2

LABELS = {"background": 0, "organ": 1, "lesion": 2}


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        {"0": "background", "1": "organ", "2": "lesion"},
        {"background": "0", "organ": "1", "lesion": "2"},
        {"Background": 0, "organ": [1], "lesion": [2.0], "ignore": 3},
        {"lesion": 2, "organ": 1},
    ],
)
def test_labels_either_way_round(labels: dict) -> None:
    assert label_values({"labels": labels}) == ([(1, "organ"), (2, "lesion")], False)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ({"channel_names": {"0": "CT", "1": "PET"}}, ["CT", "PET"]),
        ({"channel_names": ["CT", "PET"]}, ["CT", "PET"]),
        ({"channel_names": {"CT": 0, "PET": 1}}, ["CT", "PET"]),
        ({"modality": {"0": "CT"}}, ["CT", "channel 1"]),
        ({}, ["channel 0", "channel 1"]),
    ],
)
def test_channels_in_every_form(dataset: dict, expected: list[str]) -> None:
    assert channel_names(dataset, 2) == expected


def test_any_change_of_the_descriptions_is_read_or_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    folder = v2_folder(tmp_path, LABELS, 3)
    good = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in ("plans.json", "dataset.json")}
    assert read_nnunet_v2(folder).fields["labels"][0]["name"] == "organ"

    @settings(max_examples=60, deadline=None)
    @given(changed(good) | JSON_VALUES.map(lambda value: {"plans.json": value, "dataset.json": good["dataset.json"]}))
    def check(raw: dict) -> None:
        for name in good:
            (folder / name).write_text(json.dumps(raw.get(name)), encoding="utf-16")
        try:
            import_model(folder)
        except ValueError as error:
            assert is_one_sentence(error) or "already" in str(error)

    check()


def test_a_model_with_a_reorienting_reader_sees_tilted_volumes_as_they_are(tmp_path: Path) -> None:
    """nnU-Net's NibabelIOWithReorient swaps and flips axes and never resamples by the tilt."""
    package = write_package(tmp_path / "reorient", tiny_mednext(), ("left", "right"), reorient_only=True)
    model = load_model(package)
    volume = np.random.default_rng(0).normal(size=(20, 24, 40)).astype(np.float32)
    straight, _ = segment(volume, Geometry(volume.shape, np.eye(4)), model)
    assert set(np.unique(straight)) == {0, 1, 2}
    for degrees in (10, 20, 30, 40):
        tilted = np.eye(4)
        tilted[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
        assert np.array_equal(segment(volume, Geometry(volume.shape, tilted), model)[0], straight)
