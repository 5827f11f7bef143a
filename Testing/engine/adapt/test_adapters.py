"""Adapters from end to end: a frozen base, a small package that finds it by its hash, and sentences where it cannot."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cases import SHAPE, write_balls, write_bright
from tiny_models import ball

from mednextseg.adapt.mednext.partial_labels import PartialLabelLoss, background_sets
from mednextseg.adapt.tuning.adapt_model import adapt_model
from mednextseg.adapt.tuning.cases import cases_in_folder
from mednextseg.adapt.tuning.methods import METHODS
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.prior_volumes import write_priors
from mednextseg.cli import main
from mednextseg.errors import Cancelled
from mednextseg.kernels import trainable
from mednextseg.models.library import sha256_of
from mednextseg.models.loaded_model import load_model
from mednextseg.models.model_card import read_card, write_card
from mednextseg.models.weights import read_safetensors
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig
from mednextseg.volume_io import read_volume

ONE_STEP = {"steps": 1, "held_out": ("case2",)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library with the model "bright"."""
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    write_bright(tmp_path / "home" / "models" / "bright")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("balls") / "cases")


def adapted(dataset: Path, folder: Path, options: TuningOptions, base: str | Path = "bright", **more: object) -> object:
    return adapt_model(load_model(base), cases_in_folder(dataset, 1).cases, folder, options, **more)


@pytest.fixture(scope="module")
def learned(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with "home", a library with the model "bright", and "package", adapters of it after one step."""
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDNEXTSEG_HOME", str(folder / "home"))
        weights = write_bright(folder / "home" / "models" / "bright") / "weights.safetensors"
        before = sha256_of(weights)
        outcome = adapted(dataset, folder / "run", TuningOptions(method="adapters", **ONE_STEP))
        assert sha256_of(weights) == before
    outcome.package.rename(folder / "package")
    return folder


@pytest.fixture
def home_and_package(learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Copies of `learned`, to be changed."""
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    return shutil.copytree(learned / "home", tmp_path / "home"), shutil.copytree(learned / "package", tmp_path / "package")


def test_an_adapter_is_small_and_works_beside_its_base_alone(
    home_and_package: tuple[Path, Path], dataset: Path, tmp_path: Path
) -> None:
    home, package = home_and_package
    weights = home / "models" / "bright" / "weights.safetensors"
    card = read_card(package)
    assert card.base.is_needed and card.base.weights_sha256 == read_card(weights.parent).weights_sha256
    assert card.architecture["plug_ins"][0]["kind"] == "adapters"
    own = read_safetensors(package / "weights.safetensors")
    assert {name.split(".")[0] for name in own} == {"plug_ins", "out_0"}
    model = load_model(package)
    network = model._read_network(card.weights_files[0])
    kept = read_safetensors(weights)
    assert all(torch.equal(t, kept[n]) for n, t in network.state_dict().items() if n in kept and not n.startswith("out_0"))
    assert network.state_dict()["plug_ins.adapters.dec_block_0.up.weight"].abs().max() > 0  # it learned

    again = adapted(dataset, tmp_path / "more", TuningOptions(method="adapters", **ONE_STEP), package)
    assert len(read_card(again.package).architecture["plug_ins"]) == 1  # the same adapters learned on

    with open(weights, "r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\1")
    with pytest.raises(ValueError, match=r"the model bright is damaged: weights\.safetensors is truncated or altered"):
        model.network_loaders("cpu")[0]()
    shutil.rmtree(weights.parent)
    with pytest.raises(ValueError, match=r"is an adapter of bright 1\.0\.0, which is not installed with those weights"):
        print(load_model(package).network_config)


def test_two_volumes_are_learned_by_heart_beside_a_frozen_base() -> None:
    torch.manual_seed(0)
    method, base = METHODS["adapters"], MedNeXt(MedNeXtConfig(1, 2, base_channels=8, block_counts=(1,) * 9))
    network, draw = method.build(base, SHAPE), np.random.default_rng(0)
    trained = method.trained(network)
    assert all(name.startswith(("plug_ins.", "out_0.")) for name in trained)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items() if name not in trained}
    masks = [ball(SHAPE, draw.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5)) for _ in range(2)]
    codes = torch.from_numpy(np.stack(masks).astype(np.int64))
    images = 2 * codes[:, None] + 0.5 * torch.from_numpy(draw.normal(size=(2, 1, *SHAPE)).astype(np.float32))
    optimizer = torch.optim.AdamW([parameter for parameter in network.parameters() if parameter.requires_grad], 0.02)
    loss, run, worst = PartialLabelLoss(background_sets(2, [])), trainable(network), 0.0
    for _step in range(60):  # 16 are enough where this was written
        logits = run(images)
        found = logits.argmax(1)
        worst = min(float(2 * (f & c).sum() / (f.sum() + c.sum())) for f, c in zip(found, codes, strict=True))
        if worst > 0.95:
            break
        optimizer.zero_grad()
        loss([logits], codes).backward()
        optimizer.step()
    assert worst > 0.95
    assert all(torch.equal(tensor, start[name]) for name, tensor in network.state_dict().items() if name in start)


def test_a_base_with_other_weights_is_refused(home_and_package: tuple[Path, Path]) -> None:
    home, package = home_and_package
    card = read_card(home / "models" / "bright")
    write_card(type(card)(**{**vars(card), "weights_sha256": ("0" * 64,)}), home / "models" / "bright")
    with pytest.raises(ValueError, match="not installed with those weights"):
        print(load_model(package).network_config)


def test_a_base_outside_the_library_is_packaged_whole(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    base = write_bright(tmp_path / "elsewhere" / "bright")
    outcome = adapted(dataset, tmp_path / "run", TuningOptions(method="adapters", **ONE_STEP), base)
    assert not read_card(outcome.package).base.is_needed
    assert set(read_safetensors(base / "weights.safetensors")) < set(read_safetensors(outcome.package / "weights.safetensors"))


@pytest.mark.parametrize(("loss", "sampling"), [("misclassified", "hard"), ("tversky", "foreground")])
def test_other_losses_and_samplings_resume_exactly_and_leave_nothing_behind(
    home: Path, dataset: Path, tmp_path: Path, loss: str, sampling: str
) -> None:
    options = TuningOptions(method="all", loss=loss, sampling=sampling, steps=2, held_out=("case2",))
    whole = adapted(dataset, tmp_path / "whole", options)
    steps = []
    with pytest.raises(Cancelled):
        adapted(
            dataset,
            tmp_path / "parts",
            options,
            cancelled=lambda: steps == [1],
            report=lambda s: s.loss and steps.append(s.step),
        )
    resumed = adapted(dataset, tmp_path / "parts", options)
    first, second = (read_safetensors(outcome.package / "weights.safetensors") for outcome in (whole, resumed))
    assert first.keys() == second.keys() == read_safetensors(home / "models" / "bright" / "weights.safetensors").keys()
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert read_card(whole.package).extra["adapted"]["loss"] == loss


def test_priors_are_learned_packaged_and_written_as_volumes(home: Path, dataset: Path, tmp_path: Path) -> None:
    command = ["adapt", "--model", "bright", "--dataset", str(dataset), "-o", str(tmp_path / "run"), "--steps", "1"]
    command += ["--held-out", "case2", "--method", "shape-priors", "--write-priors", str(tmp_path / "priors"), "--json"]
    assert main(command) == 0
    card = read_card(tmp_path / "run" / "package")
    assert card.architecture["plug_ins"] == [{"grid_kji": [1, 1, 2], "kind": "shape_priors"}] and not card.base.is_needed
    names = [f"prior_{name}.nii.gz" for name in ("0_background", "1_Ball")]
    assert sorted(path.name for path in (tmp_path / "priors").iterdir()) == names
    values, geometry = read_volume(tmp_path / "priors" / names[1])
    assert values.shape == (1, 1, 2) and geometry.spacing_kji_mm == (16, 16, 16)
    np.testing.assert_allclose(geometry.corners_ras().mean(axis=0), 0, atol=1e-6)
    with pytest.raises(ValueError, match="the model bright has no shape priors"):
        write_priors(home / "models" / "bright", tmp_path / "none")


def test_networks_without_places_for_them_are_refused() -> None:
    from mednextseg.adapt.losses.network_terms import attach

    for method in ("adapters", "shape-priors", "class-attention"):
        with pytest.raises(ValueError, match=f"the method '{method}' needs the stages of a MedNeXt"):
            METHODS[method].build(torch.nn.Identity(), (16, 16, 32))
    with pytest.raises(ValueError, match="the loss misclassified needs the features of a MedNeXt"):
        attach("misclassified", torch.nn.Identity(), 0)
