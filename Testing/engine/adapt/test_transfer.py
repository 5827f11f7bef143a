"""Pairs of images without labels teach a network another scanner: features, overlap, the early stop, the whole way by the command line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from ball_cases import GEOMETRY, SHAPE
from tiny_models import ball, step_network, write_package

from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.transfer.features import feature_distance
from mednextseg.adapt.transfer.registration import rigid
from mednextseg.adapt.transfer.transfer_trainer import PairExample, TransferTrainer
from mednextseg.cli import main
from mednextseg.models.model_card import read_card
from mednextseg.volume_io import image_of, write_image

RECIPE = MedNeXtRecipe("x", "x", patch_size_kji=SHAPE, max_steps=20, batch_size=1, learning_rate=0.05, warmup_steps=1, ema_decay=0.0,
                       validate_every=10, save_every=10)  # fmt: skip


def known_image(seed: int = 0) -> np.ndarray:
    """A ball that is just bright enough for a network with a threshold of 1."""
    draw = np.random.default_rng(seed)
    mask = ball(SHAPE, draw.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5))
    return (1.1 * mask + draw.normal(0, 0.02, SHAPE)).astype(np.float32)


def pair(change: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> PairExample:
    known_kji = known_image(seed)
    return PairExample(change(known_kji)[None], known_kji[None], np.ones(SHAPE, dtype=bool))


def answers(network: torch.nn.Module, image_ckji: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network.eval()(torch.from_numpy(image_ckji)[None]).argmax(1)[0].numpy()


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


def trained(folder: Path, examples: list[PairExample], recipe: MedNeXtRecipe, *stops: int) -> torch.nn.Module:
    """A training that is interrupted after these steps, and goes on."""

    def stop(step: int, steps: int, loss: float) -> None:
        if step in stops:
            raise KeyboardInterrupt

    trainer = TransferTrainer(step_network((1.0,)), examples[:1], examples[1:], recipe, folder, on_step=stop)
    try:
        trainer.run()
    except KeyboardInterrupt:
        return trained(folder, examples, recipe)
    return trainer.result


def test_another_gain_and_offset_are_learned(tmp_path: Path) -> None:
    examples = [pair(lambda kji: 0.7 * kji + 0.1, seed) for seed in range(2)]
    base = step_network((1.0,))
    truth = answers(base, examples[0].known_ckji) > 0
    assert truth.any() and dice(answers(base, examples[0].new_ckji) > 0, truth) < 0.1
    torch.manual_seed(0)
    network = trained(tmp_path, examples, RECIPE)
    assert dice(answers(network, examples[0].new_ckji) > 0, truth) > 0.95
    looks = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [look["step"] for look in looks] == [10, 20] and looks[-1]["held_out_dice"] > 0.9
    assert looks[-1]["held_out_distance"] < looks[0]["held_out_distance"]


def test_a_stopped_training_ends_as_one_that_was_not(tmp_path: Path) -> None:
    examples, recipe, results = [pair(lambda kji: 0.8 * kji)], replace(RECIPE, max_steps=2), []
    for folder, stops in (("whole", ()), ("parts", (1,))):
        torch.manual_seed(0)
        results.append(trained(tmp_path / folder, examples, recipe, *stops).state_dict())
    assert all(torch.equal(tensor, results[1][name]) for name, tensor in results[0].items())


def test_the_same_image_changes_nothing_and_ends_early(tmp_path: Path) -> None:
    same = pair(lambda kji: kji)
    network = step_network((1.0,))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    recipe = replace(RECIPE, max_steps=50, validate_every=1, weight_decay=0.0)
    trainer = TransferTrainer(network, [same], [same], recipe, tmp_path)
    trainer.run()
    assert trainer.step == 5 and json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["held_out_distance"] == 0
    assert all(torch.equal(tensor, start[name]) for name, tensor in network.state_dict().items() if name in start)


def test_what_only_one_image_shows_does_not_count() -> None:
    wanted, seen = torch.randn(1, 2, 8, 8, 8), torch.zeros(1, 2, 8, 8, 8, requires_grad=True)
    overlap = torch.ones(1, 1, 16, 16, 16)
    overlap[..., :5] = 0  # two coarse voxels and a half
    feature_distance({"a": seen}, {"a": wanted}, overlap).backward()
    assert (seen.grad[..., :3] == 0).all() and (seen.grad[..., 3:] != 0).all()
    assert feature_distance({"a": wanted}, {"a": wanted}, overlap) == 0


def test_a_rigid_movement_is_found_again() -> None:
    draw = np.random.default_rng(0)
    blocks = np.kron(draw.normal(size=(6, 6, 6)), np.ones((5, 5, 5))).astype(np.float32)
    fixed = sitk.SmoothingRecursiveGaussian(image_of(blocks, GEOMETRY.__class__(blocks.shape, np.eye(4))), 1.5)
    moved = sitk.Resample(fixed, fixed, sitk.TranslationTransform(3, (2.0, -1.5, 1.0)), sitk.sitkLinear, 0.0)
    found = rigid(sitk.Exp(moved), fixed)
    center = fixed.TransformContinuousIndexToPhysicalPoint([14.5] * 3)
    assert np.allclose(np.subtract(found.TransformPoint(center), center), (-2.0, 1.5, -1.0), atol=0.5)


def test_pairs_teach_a_model_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    channel = {"name": "MR", "modality": "MR", "normalization": {"scheme": "none"}}
    base = write_package(tmp_path / "bright", step_network((1.0,)), ("Ball",), channels=[channel])
    pairs = tmp_path / "pairs"
    command = ["adapt", "--model", str(base), "--pairs", str(pairs), "-o", str(tmp_path / "run"), "--steps", "1"]
    assert main(command) == 1
    assert "pairs need imagesKnown and imagesNew" in capsys.readouterr().err
    for name in ("imagesKnown", "imagesNew"):
        (pairs / name).mkdir(parents=True)
    for number in range(3):
        known_kji = known_image(number)
        write_image(image_of(known_kji, GEOMETRY), pairs / "imagesKnown" / f"pair{number}.nii.gz")
        write_image(image_of(0.95 * known_kji, GEOMETRY), pairs / "imagesNew" / f"pair{number}.nii.gz")
    assert main([*command, "--held-out", "pair2"]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["cases"] == ["pair2"] and "not with what somebody drew" in report["explanation"]
    assert "Dice before" in capsys.readouterr().out
    assert "by pairs of images without labels" in read_card(tmp_path / "run" / "package").description
    write_image(image_of(np.zeros(SHAPE, dtype=np.float32), GEOMETRY), pairs / "imagesKnown" / "pair0.nii.gz")
    assert main([*command[:-3], str(tmp_path / "other"), "--steps", "1"]) == 1
    assert "the case pair0 cannot be used: bright finds nothing in the known image" in capsys.readouterr().err
