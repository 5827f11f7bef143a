"""The Evaluate tab: from two segmentations to numbers, slices and an error map, with a real worker process."""

import csv
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from PySide6 import QtTest

from MedNeXtSegmentLib.Evaluate.SegmentPairs import matchSegments
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, setSegmentMask, volumesMl
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, placementOf
from panel_tools import addVolume, voxelsOf

TIMEOUT_S = 300
SHAPE_KJI = (30, 34, 38)
SPACING_KJI_MM = np.array([1.5, 0.9, 1.2])  # of addVolume
VOXEL_ML = float(np.prod(SPACING_KJI_MM)) / 1000


@pytest.fixture
def widget(representation):
    """The module's Python widget, with the Evaluate tab in front."""
    representation.resize(480, 1000)
    representation.show()
    tabs = representation.self().panel.tabs
    tabs.setCurrentIndex([tabs.tabText(number) for number in range(tabs.count)].index("Evaluate"))
    return representation.self()


@pytest.fixture
def panel(widget):
    return widget.panel.evaluate


def cube(start_kji, size_kji=(10, 10, 10)) -> np.ndarray:
    mask = np.zeros(SHAPE_KJI, bool)
    mask[tuple(slice(start, start + size) for start, size in zip(start_kji, size_kji, strict=True))] = True
    return mask


def addSegmentation(volume, name: str, **masks: np.ndarray):
    node = newSegmentationFor(volume, name)
    for segment, mask in masks.items():
        segmentId = node.GetSegmentation().AddEmptySegment("", segment.replace("_", " "))
        setSegmentMask(mask, placementOf(volume), node, segmentId)
    return node


def choose(panel, reference, test, volume=None) -> None:
    parameters = panel._parameterNode
    parameters.evaluateReference, parameters.evaluateTest, parameters.evaluateVolume = reference, test, volume


def evaluateAndWait(host, panel) -> list:
    assert panel.ui.evaluateButton.enabled, panel.ui.evaluateButton.toolTip
    panel.ui.evaluateButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    return panel._finishedRun.results if panel._finishedRun is not None else []


def clickRow(host, panel, row: int) -> None:
    table = panel.ui.resultsTable
    center = table.visualItemRect(table.item(row, 1)).center()
    QtTest.QTest.mouseClick(table.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, center)
    host.process_events()


def centerOf(view) -> np.ndarray:
    """RAS in mm of the middle of a slice view."""
    return np.array([view.node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)])


@pytest.fixture
def shiftedCubes():
    """Volume, reference and test: the liver two voxels along I, the spleen in place, the pancreas three voxels along K."""
    volume = addVolume(shape=SHAPE_KJI)
    reference = addSegmentation(volume, "truth", liver=cube((3, 4, 5)), spleen=cube((3, 20, 5)), pancreas=cube((16, 20, 20)))
    test = addSegmentation(volume, "guess", spleen=cube((3, 20, 5)), Pancreas=cube((19, 20, 20)), LIVER=cube((3, 4, 7)))
    return volume, reference, test


def test_shifted_cubes_give_the_closed_form_numbers(host, panel, shiftedCubes) -> None:
    volume, reference, test = shiftedCubes
    choose(panel, reference, test, volume)
    results = {result.pair.name: result for result in evaluateAndWait(host, panel)}
    assert list(results) == ["liver", "spleen", "pancreas"]
    assert [results[name].metrics["dice"] for name in results] == pytest.approx([0.8, 1.0, 0.7])
    assert results["liver"].metrics["hd95_mm"] == pytest.approx(2 * 1.2, rel=1e-4)
    assert results["pancreas"].metrics["hd95_mm"] == pytest.approx(3 * 1.5, rel=1e-4)
    assert results["liver"].metrics["reference_ml"] == pytest.approx(1000 * VOXEL_ML)
    assert results["liver"].metrics["tolerance_mm"] == 5.0  # its own, by name
    table = panel.ui.resultsTable
    assert [table.item(row, 1).text() for row in range(3)] == ["0.800", "1.000", "0.700"]
    reds = [table.item(row, 1).background().color().name() == "#f08080" for row in range(3)]
    assert reds == [False, False, True]


def test_a_click_on_a_row_brings_the_largest_error_into_every_slice(host, panel, shiftedCubes, make_slice_view) -> None:
    volume, reference, test = shiftedCubes
    axial, sagittal = make_slice_view("Red", "Axial"), make_slice_view("Yellow", "Sagittal")
    choose(panel, reference, test, volume)
    results = evaluateAndWait(host, panel)
    clickRow(host, panel, 2)
    place_ras = np.array(results[2].largestErrorRAS)
    k, j, i = np.round(arrayAndGeometryFromVolume(volume)[1].ijk_from_ras(place_ras))[::-1].astype(int)
    assert (cube((16, 20, 20)) ^ cube((19, 20, 20)))[k, j, i]
    for view in (axial, sagittal):
        assert centerOf(view) == pytest.approx(place_ras, abs=1e-3)
    assert axial.logic.GetSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    clickRow(host, panel, 1)
    assert panel.ui.statusLabel.text == "spleen: nothing differs."
    assert centerOf(axial) == pytest.approx(place_ras, abs=1e-3)


def test_the_error_map_has_exactly_the_wrong_voxels_of_the_clicked_row(host, panel, shiftedCubes) -> None:
    volume, reference, test = shiftedCubes
    choose(panel, reference, test, volume)
    evaluateAndWait(host, panel)
    clickRow(host, panel, 0)
    node = panel.errorMapNode
    truth, guess = cube((3, 4, 5)), cube((3, 4, 7))
    assert np.array_equal(voxelsOf(node, "false positive", volume), guess & ~truth)
    assert np.array_equal(voxelsOf(node, "false negative", volume), truth & ~guess)
    clickRow(host, panel, 1)
    assert panel.errorMapNode is node
    assert volumesMl(node, ["false positive", "false negative"]) == {"false positive": 0, "false negative": 0}
    panel.ui.showErrorMapCheckBox.setChecked(False)
    clickRow(host, panel, 2)
    assert volumesMl(node, ["false negative"]) == {"false negative": 0}


def test_the_confusion_table_says_what_each_segment_was_taken_for(host, panel, tmp_path: Path) -> None:
    volume = addVolume(shape=SHAPE_KJI)
    reference = addSegmentation(volume, "truth", liver=cube((3, 4, 5)), spleen=cube((3, 20, 5)))
    half = cube((3, 4, 5), (5, 10, 10))
    test = addSegmentation(volume, "guess", spleen=cube((3, 20, 5)) | (cube((3, 4, 5)) & ~half), liver=half, rib=half)
    choose(panel, reference, test, volume)
    evaluateAndWait(host, panel)
    run, table = panel._finishedRun, panel.ui.confusionTable
    assert (run.confusion.rows, run.confusion.columns) == (("liver", "spleen"), ("spleen", "liver", "rib", "(none)"))
    assert run.confusion.volumesMl == pytest.approx(np.array([[500, 500, 500, 0], [1000, 0, 0, 0]]) * VOXEL_ML)
    texts = [[table.item(row, column).text() for column in range(5)] for row in range(2)]
    assert texts == [["liver", "50.0%", "50.0%", "50.0%", ""], ["spleen", "100.0%", "", "", ""]]
    wrong, right = table.item(0, 1), table.item(0, 2)
    assert wrong.background().color().name() == "#f08080" and not wrong.font().bold()
    assert right.font().bold() and right.background().style() == qt.Qt.NoBrush
    run.exportCsv(tmp_path / "table.csv")
    with open(tmp_path / "table_confusion.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["spleen"]) for row in rows] == pytest.approx([500 * VOXEL_ML, 1000 * VOXEL_ML])
    choose(panel, reference, None)
    assert table.rowCount == 0


def test_the_console_measures_and_waits(host, widget, shiftedCubes) -> None:
    _volume, reference, test = shiftedCubes
    seen: list[str] = []
    run = widget.logic.evaluate(reference, test, progressCallback=lambda run: seen.append(run.results[-1].pair.name))
    assert run.isFinished and seen == ["liver", "spleen", "pancreas"]
    assert [result.metrics["dice"] for result in run.results] == pytest.approx([0.8, 1.0, 0.7])
    assert run.confusion.volumesMl[0] == pytest.approx(np.array([0, 0, 800, 200]) * VOXEL_ML)
    with pytest.raises(ValueError, match="same segmentation"):
        widget.logic.evaluate(reference, reference)


def test_parent_transforms_are_followed_on_either_side(host, panel) -> None:
    volume = addVolume(shape=SHAPE_KJI)
    reference, test = addSegmentation(volume, "truth", a=cube((3, 4, 5))), addSegmentation(volume, "guess", a=cube((3, 4, 5)))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    step = np.eye(4)
    step[:3, 3] = 2 * placementOf(volume)[:3, 1]  # two voxels along J
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(step))
    test.SetAndObserveTransformNodeID(transform.GetID())
    choose(panel, reference, test, volume)
    (result,) = evaluateAndWait(host, panel)
    assert result.metrics["dice"] == pytest.approx(0.8) and result.notes == ()
    clickRow(host, panel, 0)
    assert np.array_equal(voxelsOf(panel.errorMapNode, "false positive", volume), cube((3, 14, 5), (10, 2, 10)))


def test_another_voxel_grid_is_resampled_with_a_note(host, panel) -> None:
    coarse = addVolume("coarse", shape=(20, 20, 20))
    fine = addVolume("fine", shape=(40, 40, 40))
    matrix = placementOf(coarse)
    matrix[:3, 3] += matrix[:3, :3] @ (-0.25, -0.25, -0.25)  # eight fine voxels fill a coarse one
    matrix[:3, :3] /= 2
    fine.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    small, large = np.zeros((20, 20, 20), bool), np.zeros((40, 40, 40), bool)
    small[5:15, 5:15, 5:15], large[10:30, 10:30, 14:34] = True, True
    choose(panel, addSegmentation(fine, "truth", a=large), addSegmentation(coarse, "guess", a=small))
    (result,) = evaluateAndWait(host, panel)
    assert "another voxel grid" in result.notes[0]
    assert result.metrics["dice"] == pytest.approx(0.8, abs=0.02)  # interpolation rounds the coarse cube's edges


def test_overlapping_segments_are_measured_whole(host, panel) -> None:
    volume = addVolume(shape=SHAPE_KJI)
    reference = addSegmentation(volume, "truth", liver=cube((3, 4, 5)), tumor=cube((5, 6, 7), (4, 4, 4)))
    test = addSegmentation(volume, "guess", tumor=cube((5, 6, 7), (4, 4, 4)), liver=cube((3, 4, 5)))
    choose(panel, reference, test)
    results = evaluateAndWait(host, panel)
    assert [result.metrics["dice"] for result in results] == [1.0, 1.0]
    assert results[0].metrics["reference_ml"] == pytest.approx(1000 * VOXEL_ML)


def test_an_empty_segment_has_no_distance_and_no_overlap(host, panel, tmp_path: Path) -> None:
    volume = addVolume(shape=SHAPE_KJI)
    reference = addSegmentation(volume, "truth", a=cube((3, 4, 5)), b=np.zeros(SHAPE_KJI, bool))
    test = addSegmentation(volume, "guess", a=np.zeros(SHAPE_KJI, bool), b=np.zeros(SHAPE_KJI, bool))
    choose(panel, reference, test)
    results = evaluateAndWait(host, panel)
    assert [result.metrics["dice"] for result in results] == [0.0, 1.0]
    assert panel.ui.resultsTable.item(0, 3).text() == "\u2013"
    panel._finishedRun.exportCsv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["segment"], row["test_segment"], row["dice"], row["hd95_mm"]) for row in rows] == [
        ("a", "a", "0.0", ""),
        ("b", "b", "1.0", ""),
    ]
    assert float(rows[0]["reference_ml"]) == pytest.approx(1000 * VOXEL_ML)


def test_segments_are_matched_by_name_and_unions_put_together() -> None:
    volume = addVolume(shape=SHAPE_KJI)
    mask = cube((3, 4, 5))
    reference = addSegmentation(volume, "truth", kidney=mask, gallbladder=mask, heart=mask)
    test = addSegmentation(volume, "guess", gall_bladder=mask, Right_Kidney=mask, kidney_left=mask)
    ids = list(test.GetSegmentation().GetSegmentIDs())
    pairs, note = matchSegments(reference, test)
    assert note == ""
    assert {pair.name: set(pair.testIds) for pair in pairs} == {
        "gallbladder": {ids[0]},
        "kidney": {ids[1], ids[2]},
        "heart": set(),
    }


def test_what_the_names_do_not_tell_is_matched_by_hand(host, panel) -> None:
    volume = addVolume(shape=SHAPE_KJI)
    reference = addSegmentation(volume, "truth", hepar=cube((3, 4, 5)))
    test = addSegmentation(volume, "guess", liver=cube((3, 4, 5)), other=cube((3, 4, 7)))
    choose(panel, reference, test)
    assert panel.ui.statusLabel.text == "No segment names agree; match the segments by hand."
    assert not panel.ui.evaluateButton.enabled and "match at least one" in panel.ui.evaluateButton.toolTip
    selector = panel.ui.pairsTable.cellWidget(0, 1)
    assert [selector.itemText(n) for n in range(selector.count)] == ["(not compared)", "liver", "other"]
    selector.setCurrentIndex(2)
    (result,) = evaluateAndWait(host, panel)
    assert result.metrics["dice"] == pytest.approx(0.8)
    panel.ui.matchButton.click()
    assert panel.pairs.pairs()[0].testIds == ()


def test_what_cannot_be_compared_is_said_in_one_sentence(host, panel, shiftedCubes) -> None:
    _volume, reference, test = shiftedCubes
    choose(panel, reference, None)
    assert panel.ui.evaluateButton.toolTip == "Choose a reference and a test segmentation."
    choose(panel, reference, reference)
    assert "same segmentation" in panel.ui.evaluateButton.toolTip and not panel.ui.evaluateButton.enabled
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bend")
    test.SetAndObserveTransformNodeID(bend.GetID())
    choose(panel, reference, test)
    panel.ui.evaluateButton.click()
    assert panel.run is None and "non-linear transform" in panel.ui.statusLabel.text
    test.SetAndObserveTransformNodeID(None)
    assert len(evaluateAndWait(host, panel)) == 3


def test_cancel_ends_the_run_at_once_and_the_next_one_works(host, panel, shiftedCubes) -> None:
    _volume, reference, test = shiftedCubes
    choose(panel, reference, test)
    panel.ui.evaluateButton.click()
    assert panel.ui.evaluateButton.text == "Cancel"
    panel.ui.evaluateButton.click()
    assert panel.run is None and panel.ui.evaluateButton.text == "Evaluate"
    assert panel.ui.statusLabel.text == "The run was cancelled."
    assert len(evaluateAndWait(host, panel)) == 3


def test_closing_the_scene_in_mid_run_ends_it_quietly(host, panel, worker, shiftedCubes) -> None:
    volume, reference, test = shiftedCubes
    choose(panel, reference, test, volume)
    panel.ui.evaluateButton.click()
    run = panel.run
    host.wait_until(lambda: len(run.results) > 0, TIMEOUT_S)
    slicer.mrmlScene.Clear(False)
    assert run.isFinished and panel.run is None and panel.ui.resultsTable.rowCount == 0
    host.wait_until(lambda: not worker.pendingRequests, TIMEOUT_S)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    volume = addVolume(shape=SHAPE_KJI)
    mask = cube((3, 4, 5))
    choose(panel, addSegmentation(volume, "truth", a=mask), addSegmentation(volume, "guess", a=mask))
    assert [result.metrics["dice"] for result in evaluateAndWait(host, panel)] == [1.0]
