"""The budget slider of the Segment tab: what it promises, what the run does, and what was skipped."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from tiny_models import ball
from two_balls import write_chain

from panel_tools import RUN_TIMEOUT_S, chooseAndApply, segmentNames, voxelsOf, waitForEnd


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the model "coarse", which finds bright balls."""
    home = tmp_path_factory.mktemp("home")
    write_chain(home / "models")
    return home


@pytest.fixture
def panel(representation):
    return representation.self().panel.segment


def test_a_smaller_budget_is_announced_and_shows_what_it_skipped(host, panel) -> None:
    """Four windows in a row, of which the first look takes three and finds a ball far from the fourth."""
    voxels = 50 * ball((32, 32, 160), (16, 16, 140), (5, 5, 5)).astype(np.float32)
    volume = slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.eye(4), name="long")
    parameters = panel._parameterNode
    parameters.useCardOverlap, parameters.overlap = False, 0.5
    parameters.inputVolume, parameters.modelId = volume, "coarse"
    host.wait_until(lambda: "Expected on" in panel.ui.costLabel.text, RUN_TIMEOUT_S)
    assert panel.ui.budgetSlider.enabled and panel.ui.budgetSlider.value == 1 and "budget" not in panel.job().recipe
    before = grabbed(panel.ui.budgetSlider)
    panel.ui.budgetSlider.value = 0.0
    assert panel.job().recipe["budget"] == 0
    assert not np.array_equal(before, grabbed(panel.ui.budgetSlider))  # the handle has moved
    host.wait_until(lambda: panel.ui.budgetTimeLabel.text == "3 of 4 windows", RUN_TIMEOUT_S)
    assert panel.ui.skippedLabel.isHidden()
    chooseAndApply(panel, volume, modelId="coarse")
    waitForEnd(host, panel)
    assert np.array_equal(voxelsOf(parameters.outputSegmentation, "right ball", volume), voxels > 0)
    assert not panel.ui.skippedLabel.isHidden() and panel.ui.skippedLabel.text.startswith("3 of 4 windows looked at; <a")
    host.wait_until(lambda: panel.ui.budgetTimeLabel.text.startswith("from "), RUN_TIMEOUT_S)  # the pace is known now
    panel.ui.skippedLabel.linkActivated.emit("skipped")
    panel.ui.skippedLabel.linkActivated.emit("skipped")
    [skipped] = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "skipped" in node.GetName()]
    assert skipped.GetName() == "long skipped windows" and segmentNames(skipped) == ["not looked at", "looked at less often"]
    expected = np.zeros(voxels.shape, dtype=bool)
    expected[:, :, 32:96] = True
    assert np.array_equal(voxelsOf(skipped, "looked at less often", volume), expected)
    parameters.budget = 1.0
    chooseAndApply(panel, volume, modelId="coarse")
    assert panel.ui.skippedLabel.isHidden()
    waitForEnd(host, panel)
    assert panel.ui.skippedLabel.isHidden()


def grabbed(widget) -> np.ndarray:
    """(rows, columns, bytes): how a widget is drawn."""
    image = widget.grab().toImage()
    return np.array(image.constBits()).reshape(image.height(), -1)
