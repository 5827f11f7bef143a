"""The Refine tab with a simulated mouse on rendered slice views, and a real worker process."""

import numpy as np
import pytest
import qt
import slicer

from MedNeXtSegmentLib.Refine.ToolShortcuts import KEYS
from MedNeXtSegmentLib.Scene.Volumes import placementOf
from refine_bench import CENTER_RAS, Bench, dice, slabOf, useRandomWalker
from slicerhost.views.placing import active_place_node


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    useRandomWalker(monkeypatch)
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def test_clicks_in_the_view_correct_the_segment_and_undo_and_redo_are_exact(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    assert first.any(), bench.status
    assert dice(first, bench.truth & slabOf(first)) > 0.9
    bench.ui.pointMinusButton.click()
    assert not bench.ui.pointPlusButton.checked
    bench.click((7, 0))
    second = bench.mask()
    assert not np.array_equal(first, second)
    bench.ui.undoButton.click()
    assert np.array_equal(bench.mask(), first)
    bench.ui.undoButton.click()
    assert not bench.mask().any()
    assert not bench.ui.undoButton.enabled
    bench.ui.redoButton.click()
    bench.ui.redoButton.click()
    assert np.array_equal(bench.mask(), second)
    assert not bench.mask("second").any()


def test_an_oblique_view_is_edited_on_its_own_plane(bench):
    normal = np.array([0.2, 0.5, 0.85])
    bench.look(normal)
    bench.ui.pointPlusButton.click()
    bench.click()
    mask = bench.mask()
    assert mask.sum() > 100
    k, j, i = np.nonzero(mask)
    points = np.stack([i, j, k], axis=-1) @ placementOf(bench.volume)[:3, :3].T + placementOf(bench.volume)[:3, 3]
    distances = (points - CENTER_RAS) @ (normal / np.linalg.norm(normal))
    assert np.abs(distances).max() < 1.6
    assert dice(mask, bench.truth & mask) > 0.9


def test_two_clicks_make_a_box(bench):
    bench.ui.boxButton.click()
    bench.click((-13, -13))
    assert bench.status == "Click the opposite corner."
    assert not bench.mask().any()
    bench.click((13, 13))
    assert dice(bench.mask(), bench.truth & slabOf(bench.mask())) > 0.85


def test_propagation_is_shown_before_it_is_accepted(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    clicked = bench.mask()
    bench.ui.slicesAheadSpinBox.setValue(3)
    bench.ui.slicesBackSpinBox.setValue(2)
    bench.ui.propagateButton.click()
    bench.settle()
    assert bench.status.startswith("Preview in yellow")
    assert np.array_equal(bench.mask(), clicked)
    preview = slicer.mrmlScene.GetFirstNodeByName("MedNeXt preview")
    assert preview.GetDisplayVisibility()
    bench.ui.acceptButton.click()
    assert bench.mask().any(axis=(1, 2)).sum() == 6
    assert not preview.GetDisplayVisibility()


def test_next_segment_goes_on_and_the_first_stays(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    bench.ui.nextSegmentButton.click()
    assert bench.inputs.segmentSelector.currentText == "second"
    bench.look((0, 1, 0.001))
    bench.click((2, 1))
    assert bench.mask("second").any()
    assert dice(bench.mask("ball") & ~bench.mask("second"), first & ~bench.mask("second")) == 1


def test_shortcuts_are_named_on_the_buttons_and_live_only_while_the_tab_is_open(bench):
    for name, key in KEYS.items():
        assert getattr(bench.ui, name).text.endswith(f"({key})")
    live = [shortcut.enabled for shortcut in bench.tools.shortcuts]
    assert all(live) and len(live) == len(KEYS)
    bench.ui.pointPlusButton.click()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    bench.representation.exit()
    assert not any(shortcut.enabled for shortcut in bench.tools.shortcuts)
    assert not bench.ui.pointPlusButton.checked
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    bench.representation.enter()
    assert all(shortcut.enabled for shortcut in bench.tools.shortcuts)
    bench.module.tabs.setCurrentIndex(0)
    assert not any(shortcut.enabled for shortcut in bench.tools.shortcuts)


def test_prompts_are_in_none_of_the_users_lists(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    assert active_place_node().GetHideFromEditors()
    shown = [n for n in slicer.util.getNodesByClass("vtkMRMLMarkupsNode") if not n.GetHideFromEditors()]
    shown += [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if not n.GetHideFromEditors()]
    assert shown == [bench.segmentation]
    marks = slicer.mrmlScene.GetFirstNodeByName("MedNeXt object")
    assert marks.GetNumberOfControlPoints() == 1
    bench.ui.undoButton.click()
    assert marks.GetNumberOfControlPoints() == 0


def test_clicks_go_on_in_the_same_segment_on_another_volume(bench):
    matrix = placementOf(bench.volume)
    second = slicer.util.addVolumeFromArray(300 - slicer.util.arrayFromVolume(bench.volume), ijkToRAS=matrix, name="MR")
    elsewhere = slicer.util.addVolumeFromArray(np.zeros((5, 5, 5), np.int16), name="elsewhere")
    bench.ui.pointPlusButton.click()
    bench.click()
    first, parameters = bench.mask(), bench.panel._parameterNode
    parameters.inputVolume = second
    bench.settle()
    assert parameters.outputSegmentation is bench.segmentation and "grid" not in bench.status
    bench.look((0, 1, 0.001))
    bench.click((2, 1))
    assert bench.tools.session.volumeNode is second and (bench.mask() & ~first).any(), bench.status
    parameters.inputVolume = elsewhere
    bench.settle()
    assert parameters.outputSegmentation is bench.segmentation
    assert bench.status.startswith("'segments' was made on another grid than 'elsewhere'")


@pytest.mark.parametrize("what", ["volume", "segmentation", "segment", "scene"])
def test_what_is_deleted_during_a_refinement_ends_it_without_an_error(bench, what):
    bench.ui.pointPlusButton.click()
    bench.click()
    session = bench.tools.session
    if what == "scene":
        slicer.mrmlScene.Clear(0)
    elif what == "segment":
        bench.segmentation.GetSegmentation().RemoveSegment("ball")
    else:
        slicer.mrmlScene.RemoveNode(getattr(bench, what))
    bench.settle()
    assert session.isClosed
    assert bench.tools.session is None
    assert not bench.ui.undoButton.enabled
    if what == "segment":
        assert bench.inputs.segmentSelector.currentText == "second"
    else:
        assert not bench.ui.pointPlusButton.enabled
        assert bench.status.startswith("Choose a")


@pytest.mark.parametrize("what", ["volume", "segmentation", "segment"])
def test_what_is_deleted_while_the_network_is_loaded_ends_it_with_a_sentence(bench, slow_answers, what):
    editors = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")

    def delete():
        if what == "segment":
            bench.segmentation.GetSegmentation().RemoveSegment("ball")
        else:
            slicer.mrmlScene.RemoveNode(getattr(bench, what))

    bench.representation.self().logic.refine._prompters.clear()
    bench.ui.pointPlusButton.click()
    qt.QTimer.singleShot(0, delete)  # after the tool has begun to load it
    bench.settle()
    assert bench.tools.session is None and bench.representation.self().logic.refine.sessions == []
    # Another segment is chosen then, with the same tool.
    assert bench.status.startswith("Click in a slice view" if what == "segment" else "Choose a")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == editors
