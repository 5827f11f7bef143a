"""What `mednextseg adapt` refuses, in one sentence each; and collected cases from the command line to the report."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ball, copy_with, step_network, write_package

from mednextseg.cases.collected import collected_cases
from mednextseg.cases.collecting import collect_case
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.machine import HOME_VARIABLE
from mednextseg.segmentation_io import Segmentation

SHAPE = (16, 16, 32)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model "bright", and three collected cases of a ball each."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    write_package(tmp_path / "home" / "models" / "bright", step_network((1.0,)), ("Ball",))
    geometry, rng = Geometry(SHAPE, np.eye(4)), np.random.default_rng(0)
    for _ in range(3):
        mask = ball(SHAPE, rng.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5))
        volume = (100 * mask + rng.normal(0, 5, SHAPE)).astype(np.float32)
        drawn = Segmentation(mask.astype(np.int16), geometry, (Label(1, "ball", (1, 2, 3)),))
        collect_case("Scan", [(volume, geometry)], drawn)
    return tmp_path / "home"


def adapt(folder: Path, *more: str, model: str = "bright") -> int:
    return main(["adapt", "--model", model, "-o", str(folder), "--method", "head", "--steps", "1", *more])


def refusal(capsys: pytest.CaptureFixture) -> str:
    """What was printed: one line, and no table."""
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if line.startswith("mednextseg: ")]
    assert not printed.out and len(said) == 1 and "Traceback" not in printed.err
    return said[0]


def test_collected_cases_are_learned_from(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cases = collected_cases()[0]
    chosen = ",".join(case.id[:8] for case in cases[:2])
    assert adapt(tmp_path / "two", "--collected", chosen, "--held-out", cases[0].full_name) == 0
    assert "Dice before" in capsys.readouterr().out
    report = json.loads((tmp_path / "two" / "report.json").read_text())
    assert report["cases"] == [cases[0].full_name]
    card = json.loads((tmp_path / "two" / "package" / "card.json").read_text())
    assert card["training_data"][-1]["cases"] == cases[1].full_name
    assert adapt(tmp_path / "two", "--collected", "--held-out", cases[0].full_name) == 1  # all three
    assert "holds an adaptation with another cases" in refusal(capsys)


def test_a_base_that_is_not_there_or_not_whole_is_said(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert adapt(tmp_path / "run", "--collected", model="nowhere") == 1
    assert "nowhere" in refusal(capsys)
    weights = home / "models" / "bright" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert adapt(tmp_path / "run", "--collected") == 1
    assert "the model bright is damaged: weights.safetensors is truncated or altered" in refusal(capsys)
    assert not (tmp_path / "run" / "package").exists()


def test_a_base_that_was_exchanged_does_not_go_on_in_the_folder(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    names = [case.full_name for case in collected_cases()[0]]
    assert adapt(tmp_path / "run", "--collected", "--held-out", names[0]) == 0
    capsys.readouterr()
    other = copy_with(home / "models" / "bright", tmp_path / "other", version="1.0.1")
    assert adapt(tmp_path / "run", "--collected", "--held-out", names[0], model=str(other)) == 1
    assert "holds an adaptation with another base" in refusal(capsys)


def test_cases_that_are_not_enough_are_said(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first = collected_cases()[0][0]
    assert adapt(tmp_path / "run", "--collected", first.id) == 1
    assert "one case is not enough" in refusal(capsys)
    assert adapt(tmp_path / "run") == 1
    assert "give --dataset, a folder of cases, or --collected" in refusal(capsys)
    assert adapt(tmp_path / "run", "--collected", "zz") == 1
    assert "there is no collected case zz" in refusal(capsys)
    (tmp_path / "file").write_text("")
    assert adapt(tmp_path / "file", "--collected") == 1
    assert "is a file, and results need a folder" in refusal(capsys)
