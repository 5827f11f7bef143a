"""The line of what a run will cost: the worker's plan of it, and never one that comes too late."""

import sys
from pathlib import Path

import pytest
import qt

from MedNeXtSegmentLib.Segment.CostPanel import CostPanel
from panel_tools import addVolume, writeTinyLibrary

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    writeTinyLibrary(home)
    return home


def test_the_plan_is_shown_unless_it_comes_after_the_panel(host, representation, worker, monkeypatch) -> None:
    shown, label = [], qt.QLabel()
    monkeypatch.setattr(sys, "excepthook", lambda _type, error, _traceback: shown.append(str(error)))
    panel = representation.self().panel.segment
    panel._parameterNode.inputVolume, panel._parameterNode.modelId = addVolume(), "tiny"
    host.wait_until(lambda: "GB of memory" in panel.ui.costLabel.text, TIMEOUT_S)
    late = CostPanel(label, worker)
    late.update(panel.job())
    host.wait_until(lambda: late._asked is not None, TIMEOUT_S)
    late.close()
    label.delete()
    host.wait_until(lambda: not worker.pendingRequests, TIMEOUT_S)
    assert shown == []
