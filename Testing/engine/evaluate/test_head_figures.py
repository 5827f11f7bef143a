"""Figures of whole heads: what a scan does not show counts neither for nor against a model."""

import importlib
from pathlib import Path

import numpy as np
import torch

from mednextseg.geometry import Geometry

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_labels_end_where_the_scan_ends(monkeypatch):
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    labeled_head = importlib.import_module("head_sets").LabeledHead
    scan = Geometry((4, 8, 8), np.diag([1.0, 1.0, 5.0, 1.0]))  # its lowest voxels reach down to -2.5 mm
    below = np.eye(4)
    below[2, 3] = -10.0
    reference = Geometry((30, 8, 8), below)
    codes = torch.ones(reference.shape_kji, dtype=torch.int64)
    head = labeled_head("test", "test", np.zeros(scan.shape_kji), scan, codes, reference)
    ours, compared = head.compared(np.ones(scan.shape_kji, np.int64))
    heights_mm = np.arange(30) - 10.0
    is_scanned = (heights_mm > -2.5) & (heights_mm < 17.5)
    np.testing.assert_array_equal(ours.numpy().any((1, 2)), is_scanned)
    np.testing.assert_array_equal(compared.numpy(), ours.numpy())
    assert codes.all()  # the reference itself stays as it was read
