"""A whole adaptation with a tiny network: figures, package, resuming, and every input that cannot be used."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from ball_cases import GEOMETRY, SHAPE, write_balls, write_bright
from tiny_models import ball, copy_with, tiny_mednext

from mednextseg.adapt.locked_folder import locked
from mednextseg.adapt.tuning.adapt_model import adapt_model
from mednextseg.adapt.tuning.cases import cases_in_folder
from mednextseg.adapt.tuning.methods import METHODS
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.cli import main
from mednextseg.errors import Cancelled
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.models.library import installed_models, verify_model
from mednextseg.models.loaded_model import load_model
from mednextseg.models.model_card import read_card
from mednextseg.models.new_head import with_classes
from mednextseg.models.weights import network_from_state_dict, read_safetensors
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import image_of, write_image

STEPS = TuningOptions(method="head", steps=2)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bright(tmp_path_factory.mktemp("adapt") / "bright")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_balls(tmp_path_factory.mktemp("balls") / "cases")


def adapted(base: Path, dataset: Path, folder: Path, options: TuningOptions = STEPS, **more: Callable) -> object:
    return adapt_model(load_model(base), cases_in_folder(dataset, 1).cases, folder, options, **more)


def tensors(package: Path) -> dict[str, torch.Tensor]:
    return read_safetensors(package / "weights.safetensors")


def test_every_case_is_measured_by_a_training_without_it(base: Path, dataset: Path, tmp_path: Path) -> None:
    states = []
    outcome = adapted(base, dataset, tmp_path / "run", report=states.append)
    assert outcome.gate.cases == ("case0", "case1", "case2") and "a training without it" in outcome.explanation
    card = read_card(outcome.package)
    assert [label.name for label in card.labels] == ["Ball"] and not verify_model(outcome.package)
    assert card.base.id == "bright" and list(card.base.weights_sha256) == list(read_card(base).weights_sha256)
    assert card.spacing_kji_mm == (1.0, 1.0, 1.0) and card.patch_size_kji == (16, 16, 32)
    assert card.metrics[0]["label"] == "Ball" and "case0" in card.training_data[-1]["cases"]
    changed = {name for name, tensor in tensors(outcome.package).items() if name.startswith("out_0")}
    kept = tensors(base)
    assert all(torch.equal(t, kept[name]) for name, t in tensors(outcome.package).items() if name not in changed)
    fractions = [state.fraction for state in states if state.loss is not None]
    assert fractions == sorted(fractions) and len(fractions) == 8 and fractions[-1] == 1
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["verdict"] == outcome.gate.verdict and not list((tmp_path / "run" / "part_1").glob("*.pt"))


def test_a_stopped_adaptation_ends_as_one_that_was_not(base: Path, dataset: Path, tmp_path: Path) -> None:
    options = TuningOptions(method="head", steps=3, held_out=("case2",))
    whole = adapted(base, dataset, tmp_path / "whole", options)
    steps = []

    def stop() -> bool:
        return len(steps) == 2

    with pytest.raises(Cancelled):
        adapted(base, dataset, tmp_path / "parts", options, cancelled=stop, report=lambda s: s.loss and steps.append(s.step))
    assert (tmp_path / "parts" / "part_1" / "last.pt").is_file()
    resumed = adapted(base, dataset, tmp_path / "parts", options, report=lambda s: s.loss and steps.append(s.step))
    assert steps == [1, 2, 3]
    first, second = tensors(whole.package), tensors(resumed.package)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert resumed.gate == whole.gate
    again = adapted(base, dataset, tmp_path / "parts", options, report=lambda s: s.loss and steps.append(s.step))
    assert steps == [1, 2, 3] and again.gate == whole.gate  # nothing was done twice
    with pytest.raises(ValueError, match="holds an adaptation with another method"):
        adapted(base, dataset, tmp_path / "parts", TuningOptions(method="all", steps=3, held_out=("case2",)))


def test_two_cannot_work_in_one_folder(base: Path, dataset: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(RuntimeError, match="another program trains in"):
        adapted(base, dataset, tmp_path / "run")
    (tmp_path / "run" / "in_use").write_text(f"{os.uname().nodename.lower()}-999999999")  # of a process that is gone
    with locked(tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "in_use").exists()


def test_the_command_says_the_verdict_and_installs(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    blind = copy_with(
        base, tmp_path / "blind", id="blind", channels=[{"name": "MR", "modality": "MR", "normalization": {"scheme": "none"}}]
    )
    arguments = ["adapt", "--model", str(blind), "--dataset", str(dataset), "-o", str(tmp_path / "run"), "--method", "head"]
    assert main([*arguments, "--steps", "1", "--held-out", "case0", "--install", "--same", "BALL=Lamp"]) == 0
    out = capsys.readouterr().out
    assert "accepted" in out or "kept as a candidate" in out
    assert "Dice before" in out and "Lamp" in out
    assert ("blind-adapted" in installed_models()) == ("accepted" in out)


def test_known_classes_keep_their_answers(base: Path) -> None:
    network = network_from_state_dict(tensors(base))
    other = with_classes(network, (0, 2, None, 1))
    x = torch.randn(1, 1, 16, 16, 32)
    with torch.no_grad():
        assert torch.equal(other(x)[:, [0, 3, 1]], network(x))


def test_methods_begin_with_the_answers_of_the_base_and_train_what_they_say() -> None:
    network, x = tiny_mednext(), torch.randn(1, 1, 16, 16, 32)
    for method in METHODS.values():
        built = method.build(network, (16, 16, 32)).eval()
        names = {name for name, _ in built.named_parameters()}
        assert method.trained(built) <= names
        with torch.no_grad():
            assert torch.equal(built(x), network(x)) == (method.name != "upkern")
    assert METHODS["head"].trained(network) == {"out_0.conv_out.weight", "out_0.conv_out.bias"}
    assert METHODS["upkern"].build(network, (16, 16, 32)).config.kernel_size == 5
    with pytest.raises(ValueError, match="UpKern enlarges the kernels of a MedNeXt"):
        METHODS["upkern"].build(torch.nn.Identity(), (16, 16, 32))


def broken(dataset: Path, target: Path, image: np.ndarray | None = None, label: np.ndarray | None = None) -> Path:
    """The data set with another image or labelmap for case1."""
    shutil.copytree(dataset, target)
    if image is not None:
        sitk.WriteImage(image_of(image, GEOMETRY), str(target / "imagesTr" / "case1_0000.nii.gz"))
    if label is not None:
        write_image(image_of(label, GEOMETRY), target / "labelsTr" / "case1.nii.gz")
    return target


def test_cases_that_cannot_be_used_are_named(base: Path, dataset: Path, tmp_path: Path) -> None:
    nan = np.full(SHAPE, np.nan, dtype=np.float32)
    with pytest.raises(ValueError, match="the case case1 cannot be used: 8192 voxels are NaN"):
        adapted(base, broken(dataset, tmp_path / "nan", image=nan), tmp_path / "run")
    with pytest.raises(ValueError, match=r"the case case1 cannot be used: case1\.nii\.gz has the value 7"):
        adapted(base, broken(dataset, tmp_path / "seven", label=np.full(SHAPE, 7, dtype=np.uint8)), tmp_path / "run")
    empty = broken(dataset, tmp_path / "empty")
    table = {"labels": {"background": 0, "BALL": 1, "Lamp": 2}}
    (empty / "dataset.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match="the label Lamp is empty in every case"):
        adapted(base, empty, tmp_path / "run")
    far = broken(dataset, tmp_path / "far")
    mask = ball(SHAPE, (8, 8, 16), (4, 4, 4)).astype(np.uint8)
    moved = Geometry(SHAPE, GEOMETRY.ijk_to_ras + np.array([[0, 0, 0, 500], [0] * 4, [0] * 4, [0] * 4]))
    (far / "labelsTr" / "case1.nii.gz").unlink()
    write_segmentation(far / "labelsTr" / "case1.seg.nrrd", mask, moved, [Label(1, "ball", (1, 2, 3))])
    with pytest.raises(ValueError, match="only 0% of the segmentation of case1 lies inside its image"):
        adapted(base, far, tmp_path / "run")
    for kind in ("imagesTr", "labelsTr"):
        ending = "_0000.nii.gz" if kind == "imagesTr" else ".nii.gz"
        (empty / kind / f"case1{ending}").write_bytes((empty / kind / f"case0{ending}").read_bytes())
    (empty / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "BALL": 1}}))
    with pytest.raises(ValueError, match="the cases case0, case1 are the same"):
        adapted(base, empty, tmp_path / "run")


def test_folders_without_cases_or_names_are_said(base: Path, dataset: Path, tmp_path: Path) -> None:
    nameless = broken(dataset, tmp_path / "nameless")
    (nameless / "dataset.json").unlink()
    with pytest.raises(ValueError, match=r"case0\.nii\.gz, case1\.nii\.gz, case2\.nii\.gz have no names"):
        cases_in_folder(nameless, 1)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="has no case with an image and a segmentation"):
        cases_in_folder(tmp_path / "none", 1)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        cases_in_folder(tmp_path / "nowhere", 1)
    for number in range(2):
        image = dataset / "imagesTr" / f"case{number}_0000.nii.gz"
        (tmp_path / "none" / f"scan{number}.nii.gz").write_bytes(image.read_bytes())
        mask = ball(SHAPE, (8, 8, 16), (4, 4, 4)).astype(np.uint8)
        write_segmentation(tmp_path / "none" / f"scan{number}.seg.nrrd", mask, GEOMETRY, [Label(1, "ball", (1, 2, 3))])
    assert [case.name for case in cases_in_folder(tmp_path / "none", 1).cases] == ["scan0", "scan1"]


def test_models_that_cannot_be_adapted_say_why(base: Path, dataset: Path, tmp_path: Path) -> None:
    overlapping = copy_with(base, tmp_path / "overlapping", activation="sigmoid")
    with pytest.raises(ValueError, match="has labels that may overlap and cannot be adapted"):
        adapted(overlapping, dataset, tmp_path / "run")


def test_a_full_disk_leaves_the_last_checkpoint(
    base: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, saved = TuningOptions(method="head", steps=3, held_out=("case2",)), torch.save

    def full(state: dict, path: Path) -> None:
        if state["step"] == 3:
            Path(path).write_bytes(b"half")
            raise RuntimeError("PytorchStreamWriter failed writing file")
        saved(state, path)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="make room, and start again to resume"):
        adapted(base, dataset, tmp_path / "run", options)
    monkeypatch.setattr(torch, "save", saved)
    steps = []
    adapted(base, dataset, tmp_path / "run", options, report=lambda s: s.loss and steps.append(s.step))
    assert steps == [3]
