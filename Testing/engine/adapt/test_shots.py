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
    methods = ["head", "upkern", "class-attention", "settings"]
    assert main([*command, "--shots", "1", "--methods", ",".join(methods)]) == 0
    table = capsys.readouterr().out
    assert all(f"\n{name} " in table for name in methods)
    assert (run / "head-001" / "cell.json").stat().st_mtime_ns == written
    html = (run / "shots.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in html and "http" not in html and "auto-tune" in html
    assert [cell["steps"] for cell in json.loads((run / "shots.json").read_text())] == [1, 1, 1, 0]


def test_each_case_is_held_out_once_by_trainings_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    base, run = write_bright(tmp_path / "bright"), tmp_path / "run"
    command = ["adapt", "--model", str(base), "--dataset", str(write_balls(tmp_path / "cases", 2)), "-o", str(run)]
    command += ["--shots", "1", "--methods", "settings", "--leave-one-out", "--json"]
    assert main(command) == 0
    first = capsys.readouterr().out
    (cell,) = json.loads(first)["cells"]
    reports = [json.loads((run / "settings-001-each" / str(n) / "report.json").read_text()) for n in range(2)]
    cards = [json.loads((run / "settings-001-each" / str(n) / "package" / "card.json").read_text()) for n in range(2)]
    assert [report["cases"] for report in reports] == [["case0"], ["case1"]]
    assert [card["training_data"][-1]["cases"] for card in cards] == ["case1", "case0"]
    dice = [report["rows"][0]["after"]["dice"]["mean"] for report in reports]
    assert cell["after"]["Ball"] == pytest.approx(sum(dice) / 2) and sorted(cell["cases"]) == ["case0", "case1"]
    page = (run / "shots.html").read_text(encoding="utf-8")
    assert "each of 2 cases measured by a training without it" in page and "learned the first of these" in page
    written = (run / "settings-001-each" / "cell.json").stat().st_mtime_ns
    assert main(command) == 0 and capsys.readouterr().out == first
    assert (run / "settings-001-each" / "cell.json").stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--shots", "3", "--held-out", "case1"], "there are 2 cases to learn from, so 3 of them cannot be"),
        (["--shots", "1", "--held-out", "case0,case1,case2"], "the split must leave cases on both sides"),
        (["--shots", "1", "--methods", "magic", "--held-out", "case1"], "a method of the curves must be one of all, head"),
        (["--shots", "3", "--leave-one-out"], "there are 2 cases to learn from, so 3 of them cannot be"),
        (["--shots", "1", "--leave-one-out", "--held-out", "case1"], "each case is to be held out once, and case1 already"),
        (
            ["--shots", "1", "--methods", "settings", "--loss", "focal"],
            "the method settings trains nothing, so that loss cannot",
        ),
    ],
    ids=["too many", "nothing to learn", "unknown method", "too many for each", "each and some", "no loss"],
)
def test_curves_that_cannot_be_drawn_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, more: list[str], sentence: str
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    base = write_bright(tmp_path / "bright")
    dataset = write_balls(tmp_path / "cases")
    assert main(["adapt", "--model", str(base), "--dataset", str(dataset), "-o", str(tmp_path / "run"), *more]) == 1
    assert sentence in capsys.readouterr().err
