"""The script that a graphics card has to pass: its checks hold where the processor stands in for the card, and find what is wrong."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

CPU = torch.device("cpu")


@pytest.fixture
def gpu_check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("gpu_check")


def test_the_device_s_own_steps_equal_the_processor_s(gpu_check: ModuleType) -> None:
    for check in (gpu_check.image_and_labels, gpu_check.clicks):
        section = check(CPU, gpu_check.QUICK)
        assert len(section.rows) == 2 and not section.problems


def test_wrong_labels_are_found(gpu_check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    between = gpu_check.LabelReductionOnDevice._labels
    monkeypatch.setattr(
        gpu_check.LabelReductionOnDevice, "_labels", lambda self, values: np.roll(between(self, values), 1, axis=-1)
    )
    section = gpu_check.image_and_labels(CPU, gpu_check.QUICK)
    assert len(section.problems) == 1 and "labels agree in" in section.problems[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_the_report_says_so(gpu_check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "-o", str(tmp_path)])
    assert gpu_check.main() == 0
    assert "no CUDA device" in json.loads((tmp_path / "gpu_check.json").read_text())["machine"]["card"]
    assert "no CUDA device" in (tmp_path / "gpu_check.md").read_text()


def test_what_the_time_does_not_suffice_for_is_named(gpu_check: ModuleType) -> None:
    sections = list(gpu_check.checked(CPU, gpu_check.QUICK, minutes=-1))
    assert len(sections) == len(gpu_check.SECTIONS)
    text = gpu_check.report({}, sections)
    assert text.count("left out") == len(sections) and "## L k5 against torch.compile" in text
