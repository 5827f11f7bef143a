"""Training learns, stops and resumes, and packages what it learned."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import ball

from mednextseg import load_model, segment
from mednextseg.adapt.mednext.augmentation import CutFieldOfView, training_transforms
from mednextseg.adapt.mednext.dataset import load_case, open_dataset
from mednextseg.adapt.mednext.packaging import package_training
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.mednext.trainer import Trainer
from mednextseg.adapt.schedule import learning_rate_at
from mednextseg.adapt.training_memory import Economy, TrainingPlan
from mednextseg.geometry import Geometry
from mednextseg.models.library import bundled_models_folder
from mednextseg.networks import mednext
from mednextseg.volume_io import image_of, write_image

RECIPE = MedNeXtRecipe(
    id="balls",
    title="Bright balls",
    base_channels=8,
    patch_size_kji=(16, 16, 32),
    mirror_axes_kji=(2,),
    batch_size=2,
    max_steps=12,
    warmup_steps=2,
    ema_decay=0.5,
    validate_every=6,
    learning_rate=5e-3,
)


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer builds its real network, with fewer blocks so that a step takes milliseconds."""
    monkeypatch.setitem(mednext.VARIANTS, "S", {"block_counts": (1,) * 9})


@pytest.fixture
def dataset_folder(tmp_path: Path) -> Path:
    """Four cases of one bright ball each, in nnU-Net's raw layout."""
    folder, rng, shape = tmp_path / "data", np.random.default_rng(0), (20, 22, 36)
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    geometry = Geometry(shape, np.diag([-1.0, 1.0, 1.0, 1.0]))  # stored as LAS: loading turns it
    for number in range(4):
        mask = ball(shape, rng.uniform(8, 12, 3), (5, 5, 6))
        volume = (100 * mask + rng.normal(0, 10, shape)).astype(np.float32)
        write_image(image_of(volume, geometry), folder / "imagesTr" / f"case{number}_0000.nii.gz")
        write_image(image_of(mask.astype(np.uint8), geometry), folder / "labelsTr" / f"case{number}.nii.gz")
    table = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "ball": 1}, "file_ending": ".nii.gz", "name": "Balls"}
    (folder / "dataset.json").write_text(json.dumps(table))
    (folder / "splits_final.json").write_text(json.dumps([{"train": ["case0", "case1", "case2"], "val": ["case3"]}]))
    return folder


def test_a_short_training_learns_packages_and_segments(dataset_folder: Path, tmp_path: Path) -> None:
    dataset = open_dataset(dataset_folder)
    recipe = replace(RECIPE, max_steps=16, validate_every=16)
    losses = []
    trainer = Trainer(recipe, dataset, tmp_path / "run", on_step=lambda step, total, loss: losses.append(loss))
    best = trainer.run()
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    card = package_training(tmp_path / "run", recipe, dataset, tmp_path / "balls")
    assert card.architecture["base_channels"] == recipe.base_channels
    assert [label.name for label in card.labels] == ["ball"] and card.mirror_axes_kji == (2,)
    case = load_case(dataset.validation[0], recipe)
    geometry = Geometry(case["image"].shape[1:], np.eye(4))
    labelmap, _ = segment(case["image"], geometry, load_model(tmp_path / "balls"))
    truth = case["label"][0]
    dice = 2 * (labelmap * truth).sum() / max(1, labelmap.sum() + truth.sum())
    assert dice == pytest.approx(best, abs=0.1)  # the package is the network that was validated
    assert (tmp_path / "run" / "curves.png").stat().st_size > 0
    for number, start in enumerate(
        (tmp_path / "balls", tmp_path / "balls" / "weights.safetensors", tmp_path / "run" / "best.pt")
    ):
        started = Trainer(recipe, dataset, tmp_path / f"next{number}", start_from=start).averaged.module
        torch.testing.assert_close(started.out_0.state_dict(), trainer.averaged.module.out_0.state_dict())
    with pytest.raises(ValueError, match="do not fit the MedNeXt"):
        Trainer(replace(recipe, base_channels=2), dataset, tmp_path / "narrow", start_from=tmp_path / "balls")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match="holds no weights; give best"):
        Trainer(recipe, dataset, tmp_path / "none", start_from=tmp_path / "text.pt")


def test_a_stopped_training_goes_on_where_it_stopped(dataset_folder: Path, tmp_path: Path) -> None:
    dataset, recipe = open_dataset(dataset_folder), replace(RECIPE, max_steps=4, validate_every=2)

    def stop(step: int, max_steps: int, loss: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, dataset, tmp_path / "run", on_step=stop).run()
    steps = []
    resumed = Trainer(recipe, dataset, tmp_path / "run", on_step=lambda step, total, loss: steps.append(step))
    assert resumed.step == 3
    resumed.run()
    assert steps == [4]
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [2, 4] and set(entries[0]["dice"]) == {"ball"}


def test_a_training_within_little_memory_takes_one_patch_after_the_other(dataset_folder: Path, tmp_path: Path) -> None:
    recipe, ends = replace(RECIPE, max_steps=1, warmup_steps=1), []
    for economy in (Economy(), Economy(is_recomputed=True), Economy(True, True)):
        trainer = Trainer(recipe, open_dataset(dataset_folder), tmp_path / economy.title)
        assert trainer.memory.economy == Economy() and trainer.memory.needed > 1e6  # there is room
        trainer.compute_as(TrainingPlan(economy, 0, 0))
        trainer.run()
        ends.append(torch.cat([tensor.flatten() for tensor in trainer.network.state_dict().values()]))
    assert torch.allclose(ends[0], ends[1], rtol=1e-5, atol=1e-6)
    assert 0 < float((ends[0] - ends[2]).abs().max()) <= 4 * recipe.learning_rate  # Dice of each patch instead of both


def test_a_killed_training_goes_on_from_its_last_checkpoint(dataset_folder: Path, tmp_path: Path) -> None:
    def fail(step: int, max_steps: int, loss: float) -> None:
        if step == 3:
            raise MemoryError("as a process that is killed: nothing more is saved.")

    recipe, dataset = replace(RECIPE, save_every=1), open_dataset(dataset_folder)
    with pytest.raises(MemoryError):
        Trainer(recipe, dataset, tmp_path / "run", on_step=fail).run()
    assert Trainer(recipe, dataset, tmp_path / "run").step == 2


def test_patches_have_the_recipes_size_and_labels_stay_labels(dataset_folder: Path) -> None:
    case = load_case(open_dataset(dataset_folder).training[0], RECIPE)
    transforms = training_transforms(RECIPE, 2).set_random_state(0)
    seen = set()
    for _ in range(12):
        (sample,) = transforms(case)
        assert sample["image"].shape == (1, 16, 16, 32) == sample["label"].shape
        assert sample["image"].dtype == torch.float32 and torch.isfinite(sample["image"]).all()
        seen |= set(np.unique(sample["label"].numpy()).tolist())
    assert seen == {0, 1}


def test_a_scan_that_ends_within_a_patch_has_nothing_behind_its_end() -> None:
    image, label = torch.rand(2, 8, 9, 10) + torch.tensor([0.0, 5.0])[:, None, None, None], torch.ones(1, 8, 9, 10)
    cut, changed = CutFieldOfView().set_random_state(0), 0
    for _ in range(60):
        result = cut({"image": image, "label": label})
        lost = result["label"][0] == 0
        assert torch.equal(result["image"][:, ~lost], image[:, ~lost])
        assert all((result["image"][c][lost] == image[c].min()).all() for c in range(2))
        if lost.any():
            changed += 1
            lengths = [int(lost.movedim(axis, 0).flatten(1).any(1).sum()) for axis in range(3)]
            assert lost.sum() == np.prod(lengths) and sum(n < m for n, m in zip(lengths, (8, 9, 10), strict=True)) == 1
            assert lost.float().mean() <= 0.5
    assert 4 <= changed <= 24 and label.all()


def test_cases_are_turned_to_the_recipes_axes(dataset_folder: Path) -> None:
    case = load_case(open_dataset(dataset_folder).training[0], RECIPE)
    stored = open_dataset(dataset_folder).training[0]
    from mednextseg.volume_io import read_volume

    assert np.array_equal(case["label"][0], read_volume(stored.label)[0][:, :, ::-1])  # LAS -> RAS


def test_an_older_recipe_is_read_under_the_names_of_today() -> None:
    recipe = MedNeXtRecipe.from_json(bundled_models_folder() / "hippocampus-mr" / "training_recipe.json")
    assert recipe.mirror_axes_kji == (2,)


def test_the_learning_rate_warms_up_and_decays_to_zero() -> None:
    rates = [learning_rate_at(step, RECIPE) for step in range(RECIPE.max_steps + 1)]
    assert rates[0] < rates[1] == RECIPE.learning_rate
    assert rates[2:] == sorted(rates[2:], reverse=True) and rates[-1] == 0


def test_missing_files_are_named(dataset_folder: Path) -> None:
    (dataset_folder / "labelsTr" / "case1.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"case case1 .* lacks case1\.nii\.gz"):
        open_dataset(dataset_folder)


def with_presence(dataset_folder: Path, presence: dict[str, list[str]]) -> Path:
    table = json.loads((dataset_folder / "dataset.json").read_text())
    (dataset_folder / "dataset.json").write_text(json.dumps({**table, "label_presence": presence}))
    return dataset_folder


def test_a_structure_that_was_not_drawn_is_no_background(dataset_folder: Path, tmp_path: Path) -> None:
    dataset = open_dataset(with_presence(dataset_folder, {"case1": [], "case2": []}))
    assert [case.absent for case in dataset.training] == [frozenset(), frozenset({1}), frozenset({1})]
    assert [dataset.background_code(case) for case in dataset.training] == [0, 2, 2]
    assert not load_case(dataset.training[1], RECIPE)["label"].any()  # a suspect contour in the file is left out
    recipe = replace(RECIPE, max_steps=2)
    trainer = Trainer(recipe, dataset, tmp_path / "run")
    logits = torch.zeros(2, 2, 16, 16, 32, requires_grad=True)
    codes = torch.zeros(2, 16, 16, 32, dtype=torch.long)
    codes[0, 4:8], codes[1] = 1, 2
    trainer._loss([logits], codes).backward()
    assert logits.grad[0].abs().max() > 0  # the case that has the ball teaches it,
    assert logits.grad[1].abs().max() == 0  # the case that may have it teaches nothing
    trainer.run()
    assert trainer.step == recipe.max_steps


def test_presence_of_an_unknown_structure_is_refused(dataset_folder: Path) -> None:
    with pytest.raises(ValueError, match="names cube; the labels are background, ball"):
        open_dataset(with_presence(dataset_folder, {"case1": ["cube"]}))
