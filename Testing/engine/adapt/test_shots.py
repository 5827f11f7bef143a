"""k-shot curves by the command line: nested cases, the same held-out ones, resumable, one page that loads nothing."""

import json
from pathlib import Path

import pytest
from ball_cases import write_balls, write_bright

from mednextseg.cli import main


def test_curves_are_drawn_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    write_bright(tmp_path / "home" / "models" / "bright")
    dataset, run = write_balls(tmp_path / "cases"), tmp_path / "run"
    command = ["adapt", "--model", "bright", "--dataset", str(dataset), "-o", str(run), "--steps", "1"]
    first = [*command, "--shots", "2,1", "--methods", "head", "--json"]
    assert main(first) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(cell["method"], cell["shots"], cell["steps"]) for cell in cells] == [("head", 1, 1), ("head", 2, 1)]
    assert cells[0]["cases"] == cells[1]["cases"][:1] and set(cells[1]["cases"]) == {"case0", "case1"}
    assert cells[0]["before"] == cells[1]["before"] and cells[0]["megabytes"] > 0
    written = (run / "head-001" / "cell.json").stat().st_mtime_ns
    assert main([*command, "--shots", "1", "--methods", "head,settings"]) == 0
    table = capsys.readouterr().out
    assert "settings" in table and (run / "head-001" / "cell.json").stat().st_mtime_ns == written
    html = (run / "shots.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in html and "http" not in html and "auto-tune" in html
    assert json.loads((run / "shots.json").read_text())[1]["seconds"] == 0  # nothing was trained


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--shots", "3", "--held-out", "case1"], "there are 2 cases to learn from, so 3 of them cannot be"),
        (["--shots", "1", "--held-out", "case0,case1,case2"], "the split must leave cases on both sides"),
        (["--shots", "1", "--methods", "magic", "--held-out", "case1"], "a method of the curves must be one of all, head"),
    ],
    ids=["too many", "nothing to learn", "unknown method"],
)
def test_curves_that_cannot_be_drawn_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    base = write_bright(tmp_path / "bright")
    dataset = write_balls(tmp_path / "cases")
    assert main(["adapt", "--model", str(base), "--dataset", str(dataset), "-o", str(tmp_path / "run"), *more]) == 1
    assert sentence in capsys.readouterr().err
