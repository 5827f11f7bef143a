"""A small version of the table of models by data sets: the same command on few real cases, with a model trained for one step."""

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mednextseg.networks import mednext
from mednextseg.volume_io import read_volume

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Testing/benchmarks/models_by_datasets.py as a module; its trainings use the real network, shallow."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setitem(mednext.VARIANTS, "S", {"block_counts": (1,) * 9})
    spec = importlib.util.spec_from_file_location("models_by_datasets", FOLDER / "models_by_datasets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("hippocampus_sets", None)


def test_a_small_table_comes_from_the_same_command_and_is_resumed(
    benchmark: ModuleType, shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = [str(shared_data), "-o", str(tmp_path), "--cases", "1", "--steps", "1", "--package-every", "1"]
    arguments += ["--models", "hippocampus-mr", "heads", "--datasets", "heads"]
    assert benchmark.main(arguments) == 0
    rows = {(r["model"], r["dataset"]): r for r in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert set(rows) == {("hippocampus-mr", "heads"), ("heads, 1 steps", "heads")}
    assert {row["structure"] for row in rows.values()} == {"hippocampus"}, "anterior and posterior together"
    assert {row["cases"] for row in rows.values()} == {"2"}, "left and right"
    trained, untrained = (float(rows[model, "heads"]["dice"]) for model in ("hippocampus-mr", "heads, 1 steps"))
    assert trained > 0.65, "a model trained on patients finds it"
    assert untrained < 0.3
    assert float(rows["hippocampus-mr", "heads"]["seconds_per_case"]) > 0
    predictions = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.seg.nrrd")}
    assert benchmark.main(arguments) == 0
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.seg.nrrd")} == predictions


def test_painted_heads_keep_their_anatomy_and_look_like_t1(benchmark: ModuleType, shared_data: Path, tmp_path: Path) -> None:
    (left, right) = benchmark.sets.paint_heads(shared_data, tmp_path, [15])
    assert (left, right) == ("head15_left", "head15_right")
    for name, value in ((left, 17), (right, 53)):
        image_kji, geometry = read_volume(tmp_path / "images" / f"{name}_0000.nii.gz")
        labels_kji, same = read_volume(tmp_path / "references" / f"{name}.nii.gz")
        assert geometry.matches(same) and geometry.orientation == "RAS"
        hippocampus = np.argwhere(labels_kji == value)
        assert 1500 < len(hippocampus) < 5000
        assert (hippocampus.min(axis=0) > 0).all() and (hippocampus.max(axis=0) < np.array(labels_kji.shape) - 1).all()
        r_mm = geometry.ras_from_ijk(hippocampus.mean(axis=0)[::-1])[0]
        assert (r_mm < 0) == (name == left)
        white, gray, fluid = (np.median(image_kji[np.isin(labels_kji, own)]) for own in ((2, 41), (17, 53), (4, 43, 5, 44, 24)))
        assert white > gray > fluid


def test_training_and_test_cases_are_kept_apart(benchmark: ModuleType, shared_data: Path, tmp_path: Path) -> None:
    sets = benchmark.sets
    assert not set(sets.TEST_HEADS) & {*sets.TRAINING_HEADS, *sets.VALIDATION_HEADS}
    benchmark.prepare(shared_data, tmp_path, 1)
    used = json.loads((tmp_path / "training" / "msd" / "splits_final.json").read_text(encoding="utf-8"))[0]
    msd = benchmark.table_plan(shared_data, tmp_path, {"m": "m"}, None)["datasets"][0]
    assert len(msd["cases"]) == 26 and not set(msd["cases"]) & {*used["train"], *used["val"]}
