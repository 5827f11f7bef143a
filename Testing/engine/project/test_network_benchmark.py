"""The network benchmark compares equal networks, goes on where it stopped, and its table says what was measured and how quietly."""

import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("network_report")


@pytest.fixture
def benchmark(report: ModuleType) -> ModuleType:
    return importlib.import_module("network_benchmark")


def cell(benchmark: ModuleType, load: float = 0.0, reference_s: float | None = 3.0) -> list:
    reference = benchmark.Row("B k5", 64, "stock", "MONAI", reference_s, reference_s, 5, load, 0.0, 1.0)
    return [reference, replace(reference, allocator="kept", runner="fast fp32", wall_s=0.4, relative_error=4e-7)]


def test_the_twin_of_monai_computes_the_same(benchmark: ModuleType) -> None:
    torch.manual_seed(0)
    ratios = (2, 3, 4, 4, 4, 4, 4, 3, 2)
    config = MedNeXtConfig(1, 3, base_channels=8, expansion_ratios=ratios, block_counts=(1,) * 9, down_ratios=ratios[1:5])
    network = MedNeXt(config).eval()
    x = torch.randn(1, 1, 16, 32, 16)
    with torch.no_grad():
        torch.testing.assert_close(benchmark.monai_twin(network)(x), network(x), rtol=1e-5, atol=1e-5)


def test_turns_go_on_until_the_budget_is_spent_and_the_first_is_not_counted(benchmark: ModuleType) -> None:
    calls: list[float] = []
    medians = benchmark.measure({"sum": lambda x: calls.append(float(x.sum()))}, torch.ones(8), turns=3, budget_s=0.0)
    wall_s, cpu_s, turns, load = medians["sum"]
    assert calls == [8.0] * len(calls) and 1 <= turns <= min(3, len(calls) - 1)
    assert wall_s > 0 and cpu_s >= 0 and load >= 0


def test_a_quieter_measurement_replaces_a_busier_one_only(benchmark: ModuleType) -> None:
    busy, quiet = cell(benchmark, load=0.3), cell(benchmark, load=0.01)
    assert benchmark.add_cell(busy, quiet) == quiet
    assert benchmark.add_cell(quiet, busy) == quiet
    assert benchmark.measured_cells(busy) == set()
    assert benchmark.measured_cells(quiet) == {("B k5", 64)}


def test_the_table_names_factor_agreement_and_load(report: ModuleType, benchmark: ModuleType) -> None:
    line = report.markdown(report.cells_of(cell(benchmark, load=0.3))).splitlines()[-1]
    assert "0.400 (7.5x)" in line and "4e-07" in line and "30 % (busy)" in line
    left_out = report.markdown(report.cells_of(cell(benchmark, reference_s=None))).splitlines()[-1]
    assert "left out" in left_out and "0.400 |" in left_out


def test_the_report_fills_the_table_in_and_draws_the_plot(report: ModuleType, benchmark: ModuleType, tmp_path: Path) -> None:
    rows = [asdict(row) for row in cell(benchmark)]
    (tmp_path / "benchmarks_network.json").write_text(json.dumps({"machine": {}, "rows": rows}))
    (tmp_path / "benchmarks.md").write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.startswith("before") and page.endswith("after\n") and "7.5x" in page and "old" not in page
    assert (tmp_path / "figures" / "network_speed.png").read_bytes().startswith(b"\x89PNG")
