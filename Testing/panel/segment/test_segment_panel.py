"""The panel from a click on Apply to the segment's voxels, with a real worker process."""

import gc
import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from two_balls import expected_labels, two_balls, write_chain

from mednextseg import load_model, segment
from mednextseg.machine import HOME_VARIABLE
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from panel_tools import (
    MODULE,
    RUN_TIMEOUT_S,
    TickRecorder,
    addVolume,
    chooseAndApply,
    segmentNames,
    voxelsOf,
    waitForEnd,
    writeTinyLibrary,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of tiny models."""
    home = tmp_path_factory.mktemp("home")
    writeTinyLibrary(home)
    write_chain(home / "models")
    return home


@pytest.fixture
def widget(representation):
    """The module's Python widget, entered, on a worker that is warm as it is in life."""
    return representation.self()


@pytest.fixture
def panel(widget):
    return widget.panel.segment


def expectedLabels(volume) -> np.ndarray:
    array, geometry = arrayAndGeometryFromVolume(volume)
    return segment(array, geometry, load_model("tiny"), device="cpu")[0]


def longRun(panel):
    """Apply on a volume that takes many windows."""
    volume = addVolume(shape=(56, 64, 64))
    parameters = panel._parameterNode
    parameters.useCardOverlap = False
    parameters.overlap = 0.8
    chooseAndApply(panel, volume)
    return volume


def test_a_click_on_apply_ends_in_named_voxels(host, widget, panel) -> None:
    volume = addVolume()
    chooseAndApply(panel, volume)
    assert panel.ui.applyButton.text == "Cancel"
    assert not panel.ui.progressBar.isHidden()
    waitForEnd(host, panel)
    node = panel._parameterNode.outputSegmentation
    assert panel.ui.statusLabel.text.startswith("Done in")
    assert "Segmenting: " in panel.ui.statusLabel.toolTip
    assert panel.ui.applyButton.text == "Apply" and panel.ui.progressBar.isHidden()
    assert segmentNames(node) == ["left", "right"]
    expected = expectedLabels(volume)
    for value, name in enumerate(("left", "right"), start=1):
        assert np.array_equal(voxelsOf(node, name, volume), expected == value)
    table = panel.ui.resultsTable
    assert [table.item(row, 0).text() for row in range(table.rowCount)] == ["left", "right"]
    voxel_ml = 1.2 * 0.9 * 1.5 / 1000
    shown = [float(table.item(row, 1).text()) for row in range(table.rowCount)]
    assert shown == pytest.approx([(expected == v).sum() * voxel_ml for v in (1, 2)], abs=0.006)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert not any(item.GetHideFromEditors() for item in slicer.util.getNodesByClass("vtkMRMLVolumeNode"))


def test_a_model_that_finds_its_own_regions_says_where_and_names_the_sides(host, widget, panel) -> None:
    volume = slicer.util.addVolumeFromArray(two_balls(), ijkToRAS=np.eye(4), name="head")
    chooseAndApply(panel, volume, modelId="fine")
    assert panel.ui.inputWarningLabel.text.endswith("No region is needed: coarse finds left ball, right ball.")
    assert panel.ui.wholeVolumeCheckBox.isHidden()
    waitForEnd(host, panel)
    node, names = panel._parameterNode.outputSegmentation, ["left shell", "left core", "right shell", "right core"]
    assert segmentNames(node) == names
    for value, name in enumerate(names, start=1):
        assert np.array_equal(voxelsOf(node, name, volume), expected_labels(two_balls()) == value)
    for text in (panel.ui.statusLabel.text, panel.ui.logText.toPlainText()):
        assert "coarse found right ball (looked at R 37 to 51, A 6 to 22, S 5 to 19 mm)." in text
    assert "Finding the region: " in panel.ui.statusLabel.toolTip
    assert [panel.ui.resultsTable.item(row, 0).text() for row in range(4)] == names


def test_what_the_user_chose_during_a_run_stays_chosen(host, widget, panel) -> None:
    volume, other = addVolume(), addVolume(seed=1)
    chooseAndApply(panel, volume)
    mine = newSegmentationFor(volume, "mine")
    panel._parameterNode.outputSegmentation = mine
    run = panel.run
    waitForEnd(host, panel)
    assert run.segmentationNode is not mine and segmentNames(run.segmentationNode) == ["left", "right"]
    assert panel._parameterNode.outputSegmentation is mine and panel.ui.statusLabel.text.startswith("Done in")
    assert run.segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")
    chooseAndApply(panel, volume)
    panel._parameterNode.inputVolume = other
    waitForEnd(host, panel)
    assert panel._parameterNode.outputSegmentation is None


def test_what_was_said_of_a_run_is_not_said_of_another_volume(host, widget, panel) -> None:
    volume, other = addVolume(), addVolume(seed=1)
    chooseAndApply(panel, volume)
    waitForEnd(host, panel)
    assert panel.ui.statusLabel.text.startswith("Done in")
    panel._parameterNode.tta = not panel._parameterNode.tta
    assert panel.ui.statusLabel.text.startswith("Done in")
    panel._parameterNode.inputVolume = other
    assert panel.ui.statusLabel.text == ""


def test_a_second_run_replaces_its_own_segments_and_undo_is_one_step(host, widget, panel) -> None:
    volume = addVolume()
    chooseAndApply(panel, volume)
    waitForEnd(host, panel)
    node = panel._parameterNode.outputSegmentation
    own = node.GetSegmentation().AddEmptySegment("mine", "mine")
    slicer.util.arrayFromVolume(volume)[:] = np.random.default_rng(5).normal(50, 9, (14, 18, 22))
    volume.GetImageData().Modified()
    first = voxelsOf(node, "left", volume)
    chooseAndApply(panel, volume, node)
    waitForEnd(host, panel)
    assert segmentNames(node) == ["left", "right", "mine"]
    assert np.array_equal(voxelsOf(node, "left", volume), expectedLabels(volume) == 1)
    assert not np.array_equal(voxelsOf(node, "left", volume), first)
    panel.ui.undoButton.click()
    assert np.array_equal(voxelsOf(node, "left", volume), first)
    assert node.GetSegmentation().GetSegment(own) is not None


def test_a_run_that_was_undone_can_be_done_again(host, widget, panel) -> None:
    volume = addVolume()
    chooseAndApply(panel, volume)
    waitForEnd(host, panel)
    node = panel._parameterNode.outputSegmentation
    slicer.util.arrayFromVolume(volume)[:] = np.random.default_rng(5).normal(50, 9, (14, 18, 22))
    volume.GetImageData().Modified()
    chooseAndApply(panel, volume, node)
    waitForEnd(host, panel)
    panel.ui.undoButton.click()
    panel.ui.redoButton.click()
    assert np.array_equal(voxelsOf(node, "left", volume), expectedLabels(volume) == 1)


def test_the_interface_stays_responsive_during_a_run(host, widget, panel, record_property) -> None:
    """From Apply to the written segments. Surfaces for the 3D view are left out: making them is Slicer's own work, which blocks."""
    volume = addVolume(shape=(32, 40, 40))
    panel._parameterNode.show3D = False
    recorder = TickRecorder(qt)
    start = time.perf_counter()
    chooseAndApply(panel, volume)
    waitForEnd(host, panel)
    recorder.stop()
    record_property("longest_gap_ms", round(1000 * recorder.longest_s))
    record_property("longest_computing_gap_ms", round(1000 * recorder.longest_computing_s))
    assert recorder.ticks > 20
    # A panel that waits for its run has one gap as long as the run. How many milliseconds a gap lasts is the machine's affair.
    assert recorder.longest_s < (time.perf_counter() - start) / 2


def test_twenty_cancels_leave_nothing_behind(host, widget, panel, worker) -> None:
    panel._parameterNode.inputVolume = volume = addVolume(shape=(56, 64, 64))
    panel._parameterNode.modelId = "tiny"
    panel._parameterNode.useCardOverlap, panel._parameterNode.overlap = False, 0.8
    nodes = {node.GetID() for node in slicer.mrmlScene.GetNodes()}
    processId, folder = worker.hello["pid"], Path(worker.hello["folder"])
    files = set(folder.iterdir())
    for number in range(20):
        panel.ui.applyButton.click()
        assert panel.ui.applyButton.text == "Cancel"
        if number % 4 == 0:  # cancel at different moments: at once, or in the middle
            run = panel.run
            host.wait_until(lambda run=run: run.progress is not None and run.progress.phase == "network", RUN_TIMEOUT_S)
        panel.ui.applyButton.click()
        waitForEnd(host, panel)
        assert "cancelled" in panel.ui.statusLabel.text
    assert {node.GetID() for node in slicer.mrmlScene.GetNodes()} == nodes
    assert worker.hello["pid"] == processId
    assert len(set(folder.iterdir()) - files) <= 1  # the volume itself, which the next run will use
    assert volume.GetImageData() is not None
    assert panel.ui.applyButton.enabled


def test_a_killed_worker_is_one_message_and_the_next_run_works(host, widget, panel, worker) -> None:
    volume = longRun(panel)
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "untouched")
    run = panel.run
    host.wait_until(lambda: run.progress is not None and run.progress.phase == "network", RUN_TIMEOUT_S)
    folder = Path(worker.hello["folder"])
    os.kill(worker.hello["pid"], signal.SIGKILL)
    waitForEnd(host, panel)
    assert "ended unexpectedly" in panel.ui.statusLabel.text and "Try again" in panel.ui.statusLabel.text
    assert not folder.exists()
    assert output.GetSegmentation().GetNumberOfSegments() == 0
    panel._parameterNode.useCardOverlap = True
    small = addVolume("small")
    chooseAndApply(panel, small)
    waitForEnd(host, panel)
    node = panel._parameterNode.outputSegmentation
    assert np.array_equal(voxelsOf(node, "left", small), expectedLabels(small) == 1)
    assert volume.GetImageData() is not None


def test_closing_the_scene_in_mid_run_ends_it_quietly(host, widget, panel) -> None:
    longRun(panel)
    run = panel.run
    host.wait_until(lambda: run.progress is not None, RUN_TIMEOUT_S)
    slicer.mrmlScene.Clear(False)
    assert run.isFinished and panel.run is None
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert panel._parameterNode.inputVolume is None
    assert not panel.ui.applyButton.enabled
    small = addVolume("small")
    chooseAndApply(panel, small)
    waitForEnd(host, panel)
    assert segmentNames(panel._parameterNode.outputSegmentation) == ["left", "right"]


def test_removing_the_volume_in_mid_run_says_so(host, widget, panel) -> None:
    volume = longRun(panel)
    run = panel.run
    host.wait_until(lambda: run.progress is not None, RUN_TIMEOUT_S)
    slicer.mrmlScene.RemoveNode(volume)
    assert run.isFinished and panel.run is None
    assert "was removed during the run" in panel.ui.statusLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_voxels_that_are_not_finite_are_told_in_one_sentence(host, widget, panel) -> None:
    volume = addVolume()
    slicer.util.arrayFromVolume(volume)[2, 3, 4] = np.inf
    chooseAndApply(panel, volume)
    waitForEnd(host, panel)
    assert "1 voxels are NaN or infinite" in panel.ui.statusLabel.text
    assert panel._parameterNode.outputSegmentation is None


def test_the_waiting_call_of_the_console_uses_the_panels_worker(host, widget, worker) -> None:
    volume = addVolume()
    node = widget.logic.segment(volume, model="tiny", labels=["right"])
    assert segmentNames(node) == ["right"]
    assert np.array_equal(voxelsOf(node, "right", volume), expectedLabels(volume) == 2)
    batch = widget.logic.segmentBatch([volume, addVolume("b", seed=3)], model="tiny")
    assert batch.errors == [None, None]


def test_two_channels_are_chosen_by_name_and_meet_in_one_run(host, widget, panel) -> None:
    addVolume("case 7 flair", seed=1)
    t1 = addVolume("case 7 t1 MPRAGE")
    panel._parameterNode.inputVolume = t1
    panel._parameterNode.modelId = "two"
    assert panel._parameterNode.inputVolume2.GetName() == "case 7 flair"
    assert panel.ui.inputVolume2Label.text == "Input FLAIR:" and not panel.ui.inputVolume2Selector.isHidden()
    panel.ui.applyButton.click()
    waitForEnd(host, panel)
    assert segmentNames(panel._parameterNode.outputSegmentation) == ["lesion", "edema"]


def test_the_end_of_the_panel_ends_its_worker_and_its_folder(host, home) -> None:
    os.environ[HOME_VARIABLE] = str(home)
    before = set(Path(tempfile.gettempdir()).glob("mednextseg-*"))
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.enter()
    client = representation.self().logic.worker
    assert client.state == "starting"
    host.unload_modules()
    assert client.state == "stopped"
    gc.collect()
    assert set(Path(tempfile.gettempdir()).glob("mednextseg-*")) <= before
