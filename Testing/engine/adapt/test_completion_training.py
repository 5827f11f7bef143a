"""The network that completes objects is trained from a folder, packaged, and opened as part of a ClickNet."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ball

from mednextseg.adapt.click_net.recipe import ClickNetSource
from mednextseg.adapt.completion.draws import CompletionDraws, Shares
from mednextseg.adapt.completion.random_objects import random_object
from mednextseg.adapt.completion.volumes import ObjectVolume, object_volumes
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.models.model_card import read_card
from mednextseg.refine.completion.completing_network import CompletingNetwork
from mednextseg.refine.completion.network_input import CHANNELS
from mednextseg.volume_io import image_of, write_image

SIZE = 16


def objects() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((20, 26, 24), np.uint8)
    labels[ball(labels.shape, (9, 10, 10), (5, 6, 7))] = 1
    labels[ball(labels.shape, (10, 19, 15), (6, 5, 6))] = 2
    image = 40.0 * labels + np.random.default_rng(0).normal(0, 5, labels.shape)
    return image.astype(np.float32), labels


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    image, labels = objects()
    geometry = Geometry(labels.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    for part, volume, ending in (("images", image, "_0000"), ("labels", labels, "")):
        (folder / "set" / part).mkdir(parents=True)
        for case in ("a", "b"):
            write_image(image_of(volume, geometry), folder / "set" / part / f"{case}{ending}.nii.gz")
    (folder / "set" / "split.json").write_text(json.dumps({"train": ["a"], "val": ["b"]}), encoding="utf-8")
    (folder / "maps").mkdir()
    write_image(image_of(labels, geometry), folder / "maps" / "m.nii.gz")
    return folder


@pytest.fixture(scope="module")
def draws() -> CompletionDraws:
    image, labels = objects()
    real = ObjectVolume(labels.astype(np.uint16), image, (2.0, 1.0, 1.0), ((-20.0, 90.0),))
    painted = ObjectVolume(labels.astype(np.uint16), None, (2.0, 1.0, 1.0))
    return CompletionDraws([[real]], [painted], Shares(0.4, 0.3, 0.3), SIZE)


def test_draws_show_an_object_and_slices_of_it(draws) -> None:
    generator = np.random.default_rng(1)
    known_right = []
    for _number in range(12):
        channels, codes, is_known = draws.draw(generator)
        assert channels.shape == (len(CHANNELS), SIZE, SIZE, SIZE) and channels.dtype == np.float32
        assert np.isfinite(channels).all() and np.abs(channels).max() <= 2
        assert set(np.unique(codes)) == {0, 1} and is_known.any() and not is_known.all()
        inside = channels[CHANNELS.index("inside")] > 0.5
        assert not inside[~is_known].any() and inside.any()
        known_right.append((inside & (codes > 0)).sum() / inside.sum())
    assert np.mean(known_right) > 0.75  # warped, cut and extended, but about the object


def test_a_seed_gives_the_same_draw_again(draws) -> None:
    first, again, other = (draws.draw(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_objects_are_labels_that_are_neither_specks_nor_the_background(data) -> None:
    source = ClickNetSource("set", "volumes", "set", objects=(2,))
    (volume,) = object_volumes(source, data, "train")
    assert list(volume.boxes) == [1] and volume.spacing_kji_mm == (2.0, 1.0, 1.0)
    speck = np.zeros((10, 10, 10), np.uint16)
    speck[1, 1, 1:4], speck[3:] = 1, 2
    assert not ObjectVolume(speck, None, (1.0, 1.0, 1.0)).boxes


def test_random_objects_come_with_and_without_an_image() -> None:
    image, labels = objects()
    real = ObjectVolume(labels.astype(np.uint16), image, (2.0, 1.0, 1.0))
    generator = np.random.default_rng(0)
    found = [random_object(generator, real) for _number in range(6)]
    assert any(volume is not None and volume.image_kji.shape == (48, 48, 48) for volume in found)
    assert all(volume is None or volume.boxes for volume in found)


def test_it_trains_and_is_packaged_by_one_command(data, tmp_path) -> None:
    raw = {
        "id": "tiny", "title": "tiny", "version": "0.0.1", "size": SIZE, "base_channels": 4, "max_steps": 1,
        "validation_cubes": 1, "shares": {"real": 0.6, "painted": 0.4, "random": 0.0},
        "training": [
            {"name": "set", "kind": "volumes", "folder": "set", "license": "CC0"},
            {"name": "maps", "kind": "label_maps", "folder": "maps", "license": "CC0"},
        ],
    }  # fmt: skip
    recipe, run = tmp_path / "recipe.json", tmp_path / "run"
    command = ["train", "--task", "whole-object", "--dataset", str(data), "--recipe", str(recipe), "-o", str(run), "--json"]
    recipe.write_text(json.dumps(raw), encoding="utf-8")
    assert main(command) == 0
    (entry,) = (json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    assert entry["step"] == 1 and set(entry["by_set"]) == {"set"}
    card = read_card(run / "package")
    assert card.task == "refine" and [row["name"] for row in card.training_data] == ["set", "maps"]
    network = CompletingNetwork.from_folder(run / "package")
    channels = np.zeros((len(CHANNELS), SIZE, SIZE, SIZE), np.float32)
    assert network.size == SIZE and network.log_odds(channels).shape == (SIZE,) * 3
    (run / "package" / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match="no whole package"):
        CompletingNetwork.from_folder(run / "package")
