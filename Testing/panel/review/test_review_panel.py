"""Where to look first: from a click on the button to slices in the views and the Refine tab, with a real worker process."""

import numpy as np
import pytest
import qt
import slicer
from PySide6 import QtTest

from mednextseg import load_model
from mednextseg.evaluate.review import predict_review_slices, worst_first_with_gap
from mednextseg.segment.roi import RegionOfInterest
from MedNeXtSegmentLib.Review.ReviewLogic import GAP_MM, SLICES_LISTED
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from panel_tools import addVolume, writeTinyLibrary

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """A library of tiny models."""
    home = tmp_path_factory.mktemp("home")
    writeTinyLibrary(home)
    return home


@pytest.fixture
def widget(host, representation):
    """The module's Python widget with the Evaluate tab in front, and the slices to review unfolded."""
    representation.resize(480, 1400)
    representation.show()
    panel = representation.self().panel
    panel.tabs.setCurrentIndex([panel.tabs.tabText(number) for number in range(panel.tabs.count)].index("Evaluate"))
    panel.evaluate.ui.reviewSection.collapsed = False
    host.process_events()
    return representation.self()


@pytest.fixture
def panel(widget):
    return widget.panel.review


def chooseInputs(panel, model: str = "tiny"):
    volume = addVolume()
    panel._parameterNode.inputVolume, panel._parameterNode.modelId = volume, model
    return volume


def expectedSlices(volume, region: RegionOfInterest | None = None) -> list:
    voxels_kji, geometry = arrayAndGeometryFromVolume(volume)
    return worst_first_with_gap(predict_review_slices(voxels_kji, geometry, load_model("tiny"), region), SLICES_LISTED, GAP_MM)


def findSlices(host, panel) -> None:
    assert panel.ui.reviewButton.enabled, panel.ui.reviewButton.toolTip
    panel.ui.reviewButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)


def clickRow(host, panel, row: int) -> None:
    table = panel.ui.reviewTable
    table.scrollToItem(table.item(row, 0))
    host.process_events()
    center = table.visualItemRect(table.item(row, 1)).center()
    QtTest.QTest.mouseClick(table.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, center)
    host.process_events()


def test_the_slices_are_those_of_the_engine_and_a_click_brings_the_views_there(host, panel, make_slice_view) -> None:
    volume = chooseInputs(panel)
    view = make_slice_view("Red", "Axial")
    findSlices(host, panel)
    table, expected = panel.ui.reviewTable, expectedSlices(volume)
    assert table.rowCount == len(expected) > 3
    for row, item in enumerate(expected):
        assert table.item(row, 0).text() == item.label
        assert table.item(row, 2).text() == f"{item.uncertain_mm2:.1f}"
    clickRow(host, panel, 2)
    center = [view.node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert center == pytest.approx(expected[2].center_ras, abs=1e-3)
    assert view.logic.GetSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()


def test_the_chosen_slice_opens_in_the_refine_tab_with_its_segment(host, widget, panel, make_slice_view) -> None:
    volume = chooseInputs(panel)
    view = make_slice_view("Red", "Axial")
    assert panel.ui.refineSliceButton.toolTip == "Click a slice of the table first."
    findSlices(host, panel)
    clickRow(host, panel, 1)
    item = panel.table.chosen
    assert not panel.ui.refineSliceButton.enabled and "segment the volume first" in panel.ui.refineSliceButton.toolTip
    segmentation = newSegmentationFor(volume, "result")
    for name in ("other", "left", "right"):
        segmentation.GetSegmentation().AddEmptySegment("", name)
    panel._parameterNode.outputSegmentation = segmentation
    assert panel.ui.refineSliceButton.enabled
    panel.ui.refineSliceButton.click()
    host.process_events()
    tabs = widget.panel.tabs
    assert tabs.tabText(tabs.currentIndex) == "Refine"
    assert widget.panel.refine.ui.segmentSelector.currentText == item.segmentName
    center = [view.node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert center == pytest.approx(item.centerRAS, abs=1e-3)
    assert len(segmentation.GetSegmentation().GetSegmentIDs()) == 3


def test_the_list_goes_when_another_volume_is_chosen_and_says_what_is_missing(host, panel) -> None:
    chooseInputs(panel)
    findSlices(host, panel)
    panel._parameterNode.inputVolume = addVolume("other", seed=1)
    assert panel.ui.reviewTable.rowCount == 0 and not panel.ui.refineSliceButton.enabled
    assert "Tiny head model on other" in panel.ui.reviewInputsLabel.text
    panel._parameterNode.modelId = ""
    assert not panel.ui.reviewButton.enabled and panel.ui.reviewInputsLabel.text == "Choose a model in the Segment tab."
    panel._parameterNode.modelId = "two"
    assert panel.ui.reviewInputsLabel.text == "Choose the volume in the Segment tab."


def test_cancel_and_a_closed_scene_end_the_search_quietly(host, panel, worker) -> None:
    chooseInputs(panel)
    panel.ui.reviewButton.click()
    assert panel.ui.reviewButton.text == "Cancel"
    panel.ui.reviewButton.click()
    assert panel.run is None and panel.ui.reviewStatusLabel.text == "The run was cancelled."
    panel.ui.reviewButton.click()
    run = panel.run
    slicer.mrmlScene.Clear(False)
    assert run.isFinished and panel.run is None and panel.ui.reviewTable.rowCount == 0
    host.wait_until(lambda: not worker.pendingRequests, TIMEOUT_S)
    chooseInputs(panel)
    findSlices(host, panel)
    assert panel.ui.reviewTable.rowCount > 0


def test_the_console_lists_the_slices_of_a_region_in_world_ras(host, widget) -> None:
    volume = addVolume()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (40, -10, 5)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenterWorld((bounds[0::2] + bounds[1::2]) / 2)
    roi.SetSize((bounds[1::2] - bounds[0::2]) / 2)
    fractions: list[float] = []
    run = widget.logic.reviewSlices(volume, "tiny", roi, count=5, progressCallback=lambda run: fractions.append(run.fraction))
    center, half = (bounds[0::2] + bounds[1::2]) / 2, (bounds[1::2] - bounds[0::2]) / 4
    region = RegionOfInterest(tuple(np.stack([center - half, center + half], axis=1).ravel().tolist()))
    expected = expectedSlices(volume, region)[:5]
    assert [item.uncertainMm2 for item in run.slices] == pytest.approx([item.uncertain_mm2 for item in expected], rel=1e-4)
    assert np.array([item.centerRAS for item in run.slices]) == pytest.approx(
        np.array([item.center_ras for item in expected]), abs=1e-3
    )
    assert fractions and fractions[-1] == 1.0
    with pytest.raises(ValueError, match="no model 'nothing'"):
        widget.logic.reviewSlices(volume, "nothing")
    with pytest.raises(RunFailure, match="no device"):
        widget.logic.reviewSlices(volume, "tiny", device="cuda:99")
