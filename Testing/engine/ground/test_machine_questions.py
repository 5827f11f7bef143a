"""What the machine is asked, in one place: devices, threads, names."""

import os
import subprocess
import sys

import pytest
import torch

from mednextseg.machine import devices, home_folder, processor_name, resolve_device, thread_count


def test_a_device_is_one_that_the_report_lists() -> None:
    listed = [device["id"] for device in devices(torch)]
    assert resolve_device("auto") in listed
    assert [resolve_device(device) for device in listed] == listed
    assert listed[-1] == "cpu"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "", "meta"])
def test_a_device_that_is_absent_is_named_with_those_there_are(device: str) -> None:
    with pytest.raises(ValueError, match=f"has no device '{device}'; it has: auto, cpu"):
        resolve_device(device)


def test_threads_are_those_asked_for_else_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    for nonsense in ("0", "many", ""):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert 1 <= thread_count() <= os.cpu_count()


def test_the_processor_has_a_name() -> None:
    assert processor_name()


def test_the_home_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", "somewhere")
    assert str(home_folder()) == "somewhere"
    monkeypatch.setenv("MEDNEXTSEG_HOME", "")
    assert home_folder().name == ".mednextseg" and home_folder().is_absolute()


def test_asking_the_machine_imports_no_torch() -> None:
    code = "import sys, mednextseg.machine as m; m.processor_name(), m.thread_count(), m.home_folder(); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == "False"
