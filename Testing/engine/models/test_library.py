"""Cards are validated, weights verified, models found by id and by folder."""

import json
from pathlib import Path

import pytest
from tiny_models import copy_with, tiny_mednext, write_package

from mednextseg import load_model
from mednextseg.labels.terminology import label_from_entry, terminology_entry
from mednextseg.models.library import find_model, installed_models, verify_model
from mednextseg.models.model_card import ModelCard, card_from_dict, read_card


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed model "tiny"."""
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    return write_package(tmp_path / "models" / "tiny", tiny_mednext(), ("left", "right"))


def raw_card(package: Path) -> dict:
    return json.loads((package / "card.json").read_text())


def test_a_card_survives_the_file_with_fields_of_the_future(package: Path) -> None:
    raw = {**raw_card(package), "favorite_color": "green"}
    card = card_from_dict(raw)
    assert card.extra == {"favorite_color": "green"}
    assert json.loads(json.dumps(card.to_dict())) == json.loads(json.dumps(card_from_dict(card.to_dict()).to_dict()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "lacks the field id"),
        ({"task": "guess"}, "task must be one of segment, refine"),
        ({"patch_size_kji": None}, "lacks patch_size_kji"),
        ({"overlap": 1}, "overlap must be at least 0 and below 1"),
        ({"id": "Has Spaces"}, "id must be lower-case"),
        ({"weights_sha256": ["123"]}, "one SHA-256"),
        ({"labels": [{"value": 0, "name": "x", "color": [1, 2, 3]}]}, "the value of x must be a whole number from 1"),
        ({"labels": [{"name": "x", "color": [1, 2, 3]}]}, "wrong form"),
        (
            {"channels": [{"name": "MR", "modality": "MR", "normalization": {"scheme": "magic"}}]},
            "unknown normalization 'magic'",
        ),
    ],
)
def test_a_wrong_card_names_the_field(package: Path, change: dict, message: str) -> None:
    raw = {name: value for name, value in {**raw_card(package), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        card_from_dict(raw)


def test_models_are_found_by_id_and_by_folder(package: Path) -> None:
    assert installed_models()["tiny"] == package
    assert find_model("tiny") == package == find_model(package)
    assert isinstance(load_model("tiny").card, ModelCard)


def test_an_unknown_model_lists_those_there_are(package: Path) -> None:
    with pytest.raises(ValueError, match=r"no model 'huge'; installed: .*tiny"):
        load_model("huge")


@pytest.mark.parametrize("damage", ["truncate", "alter", "delete"])
def test_damaged_weights_are_not_run(package: Path, damage: str) -> None:
    weights = package / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "delete":
        weights.unlink()
    else:
        content[-1] ^= 1
        weights.write_bytes(content if damage == "alter" else content[:-10])
    assert len(verify_model(package)) == 1
    with pytest.raises(ValueError, match="damaged"):
        load_model("tiny")


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_card_with_more_or_fewer_labels_than_the_network_is_refused(package: Path, tmp_path: Path, kept: int) -> None:
    one = read_card(package).to_dict()["labels"][0]
    labels = [{**one, "value": value, "name": f"label {value}"} for value in range(1, kept + 1)]
    if not kept:
        labels = [{**one, "value": value, "name": f"label {value}"} for value in range(1, 9)]
    altered = copy_with(package, tmp_path / "altered", labels=labels)
    with pytest.raises(
        ValueError, match=rf"has {len(labels)} labels, which makes {len(labels) + 1} outputs, and the network in"
    ):
        _ = load_model(altered).network_config


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no card\.json"):
        read_card(tmp_path)


def test_terminology_survives_slicers_entry(package: Path) -> None:
    codes = {
        "category": ("SCT", "123037004", "Anatomical Structure"),
        "type": ("SCT", "64033007", "Kidney"),
        "type_modifier": ("SCT", "7771000", "Left"),
    }
    label = label_from_entry(3, "left kidney", (1, 2, 3), "")
    assert label.terminology == {} and terminology_entry(label) == ""
    entry = terminology_entry(type(label)(3, "left kidney", (1, 2, 3), codes))
    assert entry.count("~") == 6
    assert label_from_entry(3, "left kidney", (1, 2, 3), entry).terminology == codes
