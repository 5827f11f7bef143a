"""The network that completes objects is trained from a folder, packaged, and opened as part of a ClickNet."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import ball

from mednextseg.adapt.click_net.recipe import ClickNetSource
from mednextseg.adapt.completion.draws import CompletionDraws, Shares
from mednextseg.adapt.completion.random_objects import random_object
from mednextseg.adapt.completion.sessions import CompletionSession
from mednextseg.adapt.completion.volumes import ObjectVolume, object_volumes
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.models.model_card import read_card
from mednextseg.models.weights import read_safetensors, write_safetensors
from mednextseg.refine.completion.completing_network import CompletingNetwork
from mednextseg.refine.completion.network_input import CHANNELS
from mednextseg.refine.prompters.random_walker import RandomWalkerPrompter
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


def test_draws_show_an_object_in_slices(draws) -> None:
    generator = np.random.default_rng(1)
    steps = set()
    for _number in range(24):
        sliced = draws.draw(generator)
        steps.add(sliced.step)
        cube, planes = sliced.cube, sliced.planes()
        assert cube.image_zyx.shape == cube.truth_zyx.shape == (SIZE,) * 3 and np.isfinite(cube.image_zyx).all()
        assert planes[0] == cube.first and cube.truth_zyx[cube.first].any() and not cube.truth_zyx.all()
        layers = np.stack([sliced.layers(number) for number in planes])
        assert all(layer[planes[number]] for number, layer in zip(planes, layers, strict=True))
        assert sliced.step <= 1 or (layers.sum(axis=0) <= 2).all()  # neighbors share a layer at most where they meet
    assert len(steps) > 3 and min(steps) < 1.01 < max(steps)


def test_a_user_starts_on_a_slice_and_clicks_where_the_answer_is_wrong(draws) -> None:
    generator, prompter, right = np.random.default_rng(2), RandomWalkerPrompter(), []
    for _number in range(8):
        sliced = draws.draw(generator)
        session = CompletionSession(sliced, prompter, generator)
        channels, truth = session.channels(), session.codes > 0
        assert channels.shape == (len(CHANNELS), SIZE, SIZE, SIZE) and channels.dtype == np.float32
        assert np.isfinite(channels).all() and np.abs(channels).max() <= 2
        inside, outside = channels[CHANNELS.index("inside")], channels[CHANNELS.index("outside")]
        first = sliced.cube.first
        right.append(((inside[first] > 0.5) & truth[first]).sum() / max((inside[first] > 0.5).sum(), 1))
        assert session.correct(np.ones(truth.shape, np.float32))  # far too much everywhere
        assert session.rounds == 1 and session.channels()[CHANNELS.index("outside")].sum() > outside.sum()
    assert np.mean(right) > 0.75
    assert not session.correct(truth.astype(np.float32))  # nothing is wrong


def test_objects_are_labels_that_are_neither_specks_nor_the_background(data) -> None:
    source = ClickNetSource("set", "volumes", "set", objects=(2,))
    (volume,) = object_volumes(source, data, "train")
    assert list(volume.boxes) == [1] and volume.spacing_kji_mm == (2.0, 1.0, 1.0)
    speck = np.zeros((10, 10, 10), np.uint16)
    speck[1, 1, 1:4], speck[3:] = 1, 2
    assert not ObjectVolume(speck, None, (1.0, 1.0, 1.0)).boxes


def test_a_seed_gives_the_same_session_again(draws) -> None:
    def channels_of(seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        session = CompletionSession(draws.draw(generator), RandomWalkerPrompter(), generator)
        session.correct(np.ones((SIZE,) * 3, np.float32))
        return session.channels()

    assert np.array_equal(channels_of(5), channels_of(5)) and not np.array_equal(channels_of(5), channels_of(6))


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
    assert entry["step"] == 1 and set(entry["by_set"]) == {"set"} and len(entry["by_set"]["set"]) == 3
    card = read_card(run / "package")
    assert card.task == "refine" and [row["name"] for row in card.training_data] == ["set", "maps"]
    network = CompletingNetwork.from_folder(run / "package")
    channels = np.zeros((len(CHANNELS), SIZE, SIZE, SIZE), np.float32)
    assert network.size == SIZE and network.log_odds(channels).shape == (SIZE,) * 3
    recipe.write_text(json.dumps({**raw, "kept_of_start": 0.5}), encoding="utf-8")
    assert main([*command, "--package-only"]) == 1  # of which weights?
    first = {
        name: torch.zeros_like(tensor) for name, tensor in read_safetensors(run / "package" / "weights.safetensors").items()
    }
    write_safetensors(first, tmp_path / "first.safetensors")
    learned = read_safetensors(run / "package" / "weights.safetensors")
    assert main([*command, "--package-only", "--start-from", str(tmp_path / "first.safetensors")]) == 0
    mixed = read_safetensors(run / "package" / "weights.safetensors")
    assert all(torch.allclose(mixed[name].float(), learned[name].float() / 2, atol=1e-3) for name in learned)
    (run / "package" / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match="no whole package"):
        CompletingNetwork.from_folder(run / "package")
