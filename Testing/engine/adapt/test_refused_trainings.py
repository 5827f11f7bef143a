"""What `mednextseg train` refuses before it begins: two programs in one folder, a device that is not there."""

from pathlib import Path

import pytest

from mednextseg.adapt.locked_folder import locked
from mednextseg.cli import main


@pytest.mark.parametrize("task", ["segment", "heads", "refine", "whole-object"])
def test_a_second_training_is_refused_in_one_sentence(task: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["train", "--task", task, "--dataset", str(tmp_path), "--recipe", str(tmp_path / "none.json"), "-o"]
    with locked(tmp_path / "run"):
        assert main([*command, str(tmp_path / "run")]) == 1
        said = capsys.readouterr().err
        assert "another program trains in" in said and said.count("\n") == 1
        assert main([*command, str(tmp_path / "run"), "--package-only"]) != 0  # goes on as far as the recipe that is missing
        assert "none.json" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "run")]) != 0
    assert "none.json" in capsys.readouterr().err
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("more", [[], ["--package-only"]])
@pytest.mark.parametrize("task", ["segment", "heads", "refine", "whole-object"])
def test_a_device_that_is_not_there_is_refused_at_once(
    task: str, more: list, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["train", "--task", task, "--dataset", str(tmp_path), "--recipe", str(tmp_path / "none.json"), "-o"]
    assert main([*command, str(tmp_path / "run"), "--device", "cuda:99", *more]) != 0
    assert "no device 'cuda:99'" in capsys.readouterr().err and not (tmp_path / "run").exists()
