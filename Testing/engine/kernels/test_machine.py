"""The allocator's settings and the choice of precision, on the machine at hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mednextseg.kernels import precision
from mednextseg.kernels.allocator import keep_freed_memory, release_freed_memory
from mednextseg.models.loaded_model import load_model

# One process imports PyTorch; each measurement is a child of it with memory of its own.
_MEASURED = """
import os, resource, sys, threading
import torch
import mednextseg.segment
from mednextseg.kernels import accelerate
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

def kilobytes(field):
    return int(next(line for line in open("/proc/self/status") if line.startswith(field)).split()[1])

def faults(is_kept):
    if is_kept:
        assert keep_freed_memory()
    counts = []
    def churn():
        for _ in range(16):
            torch.empty(10 * 2**20).fill_(1)
            counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    thread = threading.Thread(target=churn)
    thread.start()
    thread.join()
    return counts[-1] - counts[8]

def peak(is_fast):
    network = MedNeXt(MedNeXtConfig(1, 3, block_counts=(1,) * 9, base_channels=16)).eval()
    run = accelerate(network) if is_fast else network
    x = torch.zeros(1, 1, 48, 48, 48)
    before = kilobytes("VmRSS")
    with torch.no_grad():
        run(x)
    return kilobytes("VmHWM") - before

print(int("triton" in sys.modules), flush=True)
for measure in (lambda: faults(True), lambda: faults(False), lambda: peak(True), lambda: peak(False)):
    if os.fork() == 0:
        print(measure(), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def measured() -> tuple[int, ...]:
    """Whether Triton came with all this; page faults with memory kept and as usual; kilobytes of the fast path and of the plain network."""
    environment = {"PYTHONPATH": str(Path(precision.__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", _MEASURED], capture_output=True, text=True, check=True, env=environment)
    return tuple(map(int, result.stdout.split()))


linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc and /proc are Linux's")


@linux_only
def test_kept_memory_is_not_faulted_in_again_in_a_worker_thread(measured: tuple[int, ...]) -> None:
    _, kept, usual, *_ = measured
    assert kept < usual / 4


@linux_only
def test_the_fast_path_needs_less_memory_than_the_plain_network(measured: tuple[int, ...]) -> None:
    *_, fast, plain = measured
    assert fast < plain


@linux_only
def test_the_package_of_kernels_imports_no_triton(measured: tuple[int, ...]) -> None:
    assert measured[0] == 0


def test_systems_without_glibc_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False
    assert release_freed_memory() is False


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: True)
    return tmp_path


def seconds(monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float) -> list[torch.dtype]:
    """Replace the measurement; returns the list of types that were measured."""
    measured: list[torch.dtype] = []

    def measure(dtype: torch.dtype) -> float:
        measured.append(dtype)
        return {torch.float32: float32, torch.bfloat16: bfloat16}[dtype]

    monkeypatch.setattr(precision, "_seconds", measure)
    return measured


def test_inexact_results_are_never_chosen_unasked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = seconds(monkeypatch, 9.0, 1.0)
    assert precision.fastest_dtype() == torch.float32
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda: False)
    assert precision.fastest_dtype(allow_inexact=True) == torch.float32
    assert measured == [] and list(home.iterdir()) == []


def test_the_faster_type_is_measured_once_and_remembered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = seconds(monkeypatch, 2.0, 1.0)
    assert [precision.fastest_dtype(allow_inexact=True) for _ in range(3)] == [torch.bfloat16] * 3
    assert measured == [torch.float32, torch.bfloat16]
    assert [file.name for file in home.iterdir()] == ["precision.json"]
    assert list(json.loads((home / "precision.json").read_text()).values()) == [{"float32": 2.0, "bfloat16": 1.0}]


def test_a_gain_too_small_for_the_lost_exactness_is_declined(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds(monkeypatch, 1.1, 1.0)
    assert precision.fastest_dtype(allow_inexact=True) == torch.float32


@pytest.mark.parametrize("content", ["", "[]", '{"a": 3}', '{"a": {"float32": "x"}}'])
def test_a_damaged_memory_is_measured_anew(home: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "precision.json").write_text(content)
    seconds(monkeypatch, 2.0, 1.0)
    assert precision.fastest_dtype(allow_inexact=True) == torch.bfloat16
    assert len(json.loads((home / "precision.json").read_text())) == 1


def test_a_home_that_cannot_be_written_is_no_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(home / "file"))
    seconds(monkeypatch, 2.0, 1.0)
    assert precision.fastest_dtype(allow_inexact=True) == torch.bfloat16


@pytest.mark.parametrize(("bfloat16_s", "chosen"), [(1.0, torch.bfloat16), (1.9, torch.float32)])
def test_a_model_asked_for_bf16_runs_in_what_was_measured_to_pay(
    bfloat16_s: float, chosen: torch.dtype, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = seconds(monkeypatch, 2.0, bfloat16_s)
    for _ in range(2):
        assert load_model("hippocampus-mr").network_loaders("cpu", "bf16")[0]().dtype == chosen
    assert measured == [torch.float32, torch.bfloat16]
    assert load_model("hippocampus-mr").network_loaders("cpu")[0]().dtype == torch.float32


def test_the_measurement_itself_gives_seconds_for_both_types() -> None:
    assert 0 < precision._seconds(torch.float32) < 300
    if precision.computes_in_bfloat16():
        assert 0 < precision._seconds(torch.bfloat16) < 300
