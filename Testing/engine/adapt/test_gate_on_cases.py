"""The gate on trained models, by the command line: what is learned passes, poisoned cases and forgotten ones do not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cases import write_balls
from tiny_models import copy_with, step_network, write_package

from mednextseg.cli import main
from mednextseg.models.model_card import read_card
from mednextseg.volume_io import image_of, read_volume, write_image

_SCALE = 20  # of the features: a step of the optimizer then moves the answers of the last layer by tenths


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Labels what is bright, and learns by its last layer within ten steps to label what is dark."""
    network = step_network((1.0,))
    with torch.no_grad():
        network.stem.weight.mul_(_SCALE)
        network.out_0.conv_out.weight.div_(_SCALE)
    return write_package(tmp_path / "bright", network, ("Ball",), patch_size_kji=[16, 16, 32])


def changed(dataset: Path, kind: str, change: object) -> None:
    for file in (dataset / kind).iterdir():
        values_kji, geometry = read_volume(file)
        write_image(image_of(np.ascontiguousarray(change(values_kji)), geometry), file)


def adapt(base: Path, dataset: Path, run: Path, *more: str) -> dict:
    command = ["adapt", "--model", str(base), "--dataset", str(dataset), "-o", str(run), "--method", "head"]
    assert main([*command, "--held-out", "case2", *more]) == 0
    return json.loads((run / "report.json").read_text())


def test_renamed_labels_and_an_inverted_contrast_are_learned_and_what_that_forgets_is_said(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bright, dark = write_balls(tmp_path / "bright cases"), write_balls(tmp_path / "dark cases")
    changed(dark, "imagesTr", lambda volume_kji: volume_kji.max() - volume_kji)
    (dark / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "bulb": 1}}))
    options = ("--steps", "9", "--same", "bulb=Ball")
    report = adapt(base, dark, tmp_path / "run", *options)
    assert report["accepted"] and report["rows"][0]["after"]["dice"]["mean"] > report["rows"][0]["before"]["dice"]["mean"] + 0.5
    said = capsys.readouterr().out
    assert "accepted" in said and "bulb of the cases is Ball of the model" in said and not report["reference_rows"]

    carrying = copy_with(base, tmp_path / "carrying", reference_cases="reference")
    shutil.copytree(bright, carrying / "reference")
    report = adapt(carrying, dark, tmp_path / "run", *options)  # what was trained is there already
    assert (
        not report["accepted"]
        and "Labels that lose more Dice than 0.01 on the base's own cases: Ball by" in report["reasons"][0]
    )
    assert report["reference_cases"] == ["case0", "case1", "case2"] and report["reference_rows"][0]["label"] == "Ball"
    assert "The base's own cases: case0, case1, case2" in capsys.readouterr().out
    package = tmp_path / "run" / "package"
    assert read_card(package).reference_cases == "reference" and (package / "reference" / "labelsTr").is_dir()
    with pytest.raises(ValueError, match="reference_cases must be a folder of the package"):
        copy_with(base, tmp_path / "elsewhere", reference_cases="../cases")


def test_shifted_labels_are_held_back(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    poisoned = write_balls(tmp_path / "cases")
    changed(poisoned, "labelsTr", lambda labels_kji: np.roll(labels_kji, 7, axis=2))
    report = adapt(base, poisoned, tmp_path / "run", "--steps", "1")
    assert not report["accepted"] and "lies about 7 mm beside what the base finds" in report["reasons"][-1]
    assert "kept as a candidate" in capsys.readouterr().out


def test_priors_that_no_method_learns_are_refused_before_the_training(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["adapt", "--model", str(base), "--dataset", str(write_balls(tmp_path / "cases")), "-o", str(tmp_path / "run")]
    assert main([*command, "--method", "head", "--write-priors", str(tmp_path / "priors")]) == 1
    assert "--write-priors needs --method shape-priors, got head" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
