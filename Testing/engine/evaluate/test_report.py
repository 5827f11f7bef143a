"""The table of models by data sets: a known winner, means over shared structures, cost, resuming, failures."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_mednext, write_package

from mednextseg.evaluate.compare.models_by_datasets import TableOutcome, run_plan
from mednextseg.evaluate.compare.plan import read_plan
from mednextseg.evaluate.report.models_report import table_csv, table_page
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.machine import peak_memory_mb
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import image_of, write_image

_GEOMETRY = Geometry((12, 12, 16), np.diag([1.0, 1.0, 2.0, 1.0]))
# Each data set has its own numbers for the same organs.
_NUMBERS = {"A": {"liver": 1, "spleen": 2}, "B": {"liver": 6, "spleen": 1}, "C": {"spleen": 3, "liver": 9}}
_ERRORS = {"winner": 0, "second": 1, "third": 3}


def anatomy(shift: int = 0) -> dict[str, np.ndarray]:
    masks = {name: np.zeros(_GEOMETRY.shape_kji, dtype=bool) for name in ("liver", "spleen")}
    masks["liver"][3:9, 2:9, 1 + shift : 7 + shift] = True
    masks["spleen"][4:9, 3:8, 11 : 16 - shift] = True
    return masks


def labelmap(masks: dict[str, np.ndarray], numbers: dict[str, int]) -> np.ndarray:
    result = np.zeros(_GEOMETRY.shape_kji, dtype=np.uint8)
    for name, mask in masks.items():
        result[mask] = numbers.get(name, 0)
    return result


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """Three data sets of two cases; three models with planted errors, the third without a spleen; all on disk."""
    names = {"winner": ("liver", "spleen"), "second": ("spleen", "liver"), "third": ("Liver",)}
    for dataset, numbers in _NUMBERS.items():
        for kind in ("images", "references"):
            (tmp_path / dataset / kind).mkdir(parents=True)
        for case in ("one", "two"):
            truth = labelmap(anatomy(), numbers)
            write_image(image_of(truth, _GEOMETRY), tmp_path / dataset / "references" / f"{case}.nii.gz")
            image = truth.astype(np.float32) + np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
            write_image(image_of(image, _GEOMETRY), tmp_path / dataset / "images" / f"{case}_0000.nii.gz")
        for model, known in names.items():
            (tmp_path / model / dataset).mkdir(parents=True)
            labels = [Label(value, name, (9, 9, 9)) for value, name in enumerate(known, start=1)]
            own = labelmap(anatomy(_ERRORS[model]), {label.name.lower(): label.value for label in labels})
            for case in ("one", "two"):
                write_segmentation(tmp_path / model / dataset / f"{case}.seg.nrrd", own, _GEOMETRY, labels)
    plan = {
        "models": [{"name": name, "predictions": name + "/{dataset}"} for name in names],
        "datasets": [
            {"name": name, "images": f"{name}/images", "references": f"{name}/references", "labels": numbers}
            for name, numbers in _NUMBERS.items()
        ],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


def run(plan_file: Path, output: Path, lines: list[str] | None = None) -> TableOutcome:
    return run_plan(read_plan(plan_file, None, "cpu"), output, [].append if lines is None else lines.append)


def test_the_known_winner_wins_on_every_data_set_by_name_not_by_number(plan_file: Path, tmp_path: Path) -> None:
    outcome = run(plan_file, tmp_path / "out")
    assert outcome.failed == {}
    cells = {(cell.model, cell.dataset): cell for cell in outcome.cells}
    assert len(cells) == 9
    for dataset in _NUMBERS:
        ranking = sorted(_ERRORS, key=lambda model: -cells[model, dataset].mean["dice"].mean)
        assert ranking == ["winner", "second", "third"]
        assert cells["winner", dataset].mean["dice"].mean == 1
        assert cells["second", dataset].labels["liver"]["dice"].mean == pytest.approx(5 / 6)
        assert cells["winner", dataset].labels["spleen"]["nsd"].mean == 1
        assert cells["winner", dataset].shared == ("liver",), "the mean covers what all three can be compared by"
        assert cells["winner", dataset].cases == 2
        assert cells["winner", dataset].seconds_per_case is None
    rows = list(csv.DictReader(io.StringIO(table_csv(outcome))))
    assert {(row["model"], row["dataset"], row["structure"]) for row in rows} >= {
        ("winner", dataset, structure) for dataset in _NUMBERS for structure in ("mean", "liver", "spleen")
    }
    assert all(f">{name}</th>" in table_page(outcome) for name in _NUMBERS)


def test_a_model_that_knows_only_the_whole_is_compared_with_one_that_knows_the_parts(tmp_path: Path) -> None:
    halves, whole = {"anterior hippocampus": 1, "posterior hippocampus": 2}, {"hippocampus": 1}
    truth = np.zeros(_GEOMETRY.shape_kji, dtype=np.uint8)
    truth[3:9, 2:6, 2:14], truth[3:9, 6:10, 2:14] = 1, 2
    for folder in ("images", "references", "parts", "union"):
        (tmp_path / folder).mkdir()
    write_image(image_of(truth.astype(np.float32), _GEOMETRY), tmp_path / "images" / "one_0000.nii.gz")
    write_image(image_of(truth, _GEOMETRY), tmp_path / "references" / "one.nii.gz")
    for folder, names, labeled in (("parts", halves, truth), ("union", whole, truth > 0)):
        labels = [Label(value, name, (9, 9, 9)) for name, value in names.items()]
        write_segmentation(tmp_path / folder / "one.seg.nrrd", labeled.astype(np.uint8), _GEOMETRY, labels)
    dataset = {"name": "D", "images": "images", "references": "references", "labels": halves, "unions": ["hippocampus"]}
    plan = {"models": [{"name": name, "predictions": name} for name in ("parts", "union")], "datasets": [dataset]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    parts, union = run(tmp_path / "plan.json", tmp_path / "out").cells
    assert parts.shared == union.shared == ("hippocampus",)
    assert set(parts.labels) == {*halves, "hippocampus"}
    assert parts.mean["dice"].mean == union.mean["dice"].mean == 1


def test_a_model_that_is_run_brings_its_cost_and_what_cannot_run_is_listed(plan_file: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "tiny", tiny_mednext(), ("liver", "spleen"))
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    plan["models"] = [plan["models"][0], {"name": "tiny", "model": "tiny"}, {"name": "gone", "model": "no-such-model"}]
    plan["datasets"] = plan["datasets"][:1]
    plan_file.write_text(json.dumps(plan), encoding="utf-8")
    (tmp_path / "A" / "images" / "two_0000.nii.gz").write_bytes(b"no image")
    lines: list[str] = []
    outcome = run(plan_file, tmp_path / "out", lines)
    cells = {cell.model: cell for cell in outcome.cells}
    assert cells["winner"].mean["dice"].mean == 1
    assert cells["tiny"].cases == 1
    assert cells["tiny"].seconds_per_case > 0
    assert cells["tiny"].peak_memory_mb > 50
    assert cells["gone"].cases == 0
    assert "cannot be read" in outcome.failed["tiny / A / two"]
    assert "no-such-model" in outcome.failed["gone / A"]
    assert len(outcome.models["tiny"]["weights SHA-256"][0]) == 64
    (tmp_path / "A" / "images" / "two_0000.nii.gz").unlink()
    again: list[str] = []
    assert {cell.model: cell.labels for cell in run(plan_file, tmp_path / "out", again).cells}["tiny"] == cells["tiny"].labels
    assert not any(line.startswith("tiny / A / one") for line in again), "finished cases are not run again"


def test_a_run_whose_command_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    model = write_package(tmp_path / "tiny", tiny_mednext(), ("liver", "spleen"))
    write_image(image_of(np.zeros(_GEOMETRY.shape_kji, np.float32), _GEOMETRY), tmp_path / "one.nii.gz")
    # It waits in the report of the first case; the model's process shares its output, which ends when both are gone.
    code = f"""
import sys
from pathlib import Path
from mednextseg.cases.runs import run_model
from mednextseg.segment.recipe import SegmentRecipe
folder = Path({str(tmp_path)!r})
def report(text):
    print(text, flush=True)
    sys.stdin.read()
if __name__ == "__main__":
    run_model({str(model)!r}, SegmentRecipe(), "cpu", dict(one=[folder / "one.nii.gz"]), folder / "out", report)
"""
    (tmp_path / "run.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(tmp_path / "run.py")], text=True, env=environment, **pipes) as run:
        assert run.stdout.readline().startswith("one: ")
        run.kill()
        run.communicate(timeout=120)


def test_memory_is_that_of_this_process() -> None:
    if peak_memory_mb() is None:
        pytest.skip("this system does not tell a process its peak memory")
    # In a process of its own: the peak of this one may lie far above what it holds now.
    name = peak_memory_mb.__module__
    code = f"import numpy, {name} as m; a = m.peak_memory_mb(); b = numpy.ones(20_000_000); print(m.peak_memory_mb() - a)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert float(run.stdout) > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": [{"name": "x"}]}, 'either "model" or "predictions"'),
        ({"models": []}, "at least one model"),
        ({"datasets": [{"name": "A"}]}, "'images' is missing"),
        ({"models": [{"name": "a/b", "predictions": "p"}]}, "without a slash"),
    ],
)
def test_a_wrong_plan_gets_one_clear_sentence(plan_file: Path, change: dict, message: str) -> None:
    plan_file.write_text(json.dumps({**json.loads(plan_file.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_plan(plan_file, None, "cpu")
