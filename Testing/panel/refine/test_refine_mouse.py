"""Who has the mouse: what ends a tool, quick clicks, keys, and what is left of them."""

import numpy as np
import pytest
import qt
import slicer

from MedNeXtSegmentLib.Refine.ToolShortcuts import KEYS
from refine_bench import CENTER_RAS, Bench, useRandomWalker
from slicerhost.segment_editor import SHORTCUT_KEYS


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    useRandomWalker(monkeypatch)
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def interaction():
    return slicer.app.applicationLogic().GetInteractionNode()


def entries(bench):
    return 0 if bench.tools.session is None else len(bench.tools.session.journal.entries)


def test_the_panel_does_not_touch_how_slicer_places_markups(bench):
    assert not interaction().GetPlaceModePersistence()
    bench.ui.pointPlusButton.click()
    assert interaction().GetPlaceModePersistence()
    bench.ui.pointPlusButton.click()
    assert not interaction().GetPlaceModePersistence()


def test_every_click_counts_after_the_scene_was_closed(bench):
    slicer.mrmlScene.Clear(0)
    bench.__init__(bench.host, bench.representation, bench.view)
    bench.ui.pointPlusButton.click()
    for offset in ((0, 0), (3, 0), (0, 3)):
        bench.click(offset)
    assert entries(bench) == 3


@pytest.mark.parametrize("how", ["right click", "double click", "mouse mode", "another list"])
def test_the_tool_button_follows_whoever_takes_the_mouse(bench, how):
    bench.ui.pointPlusButton.click()
    bench.click()
    x, y = bench.view.ras_to_xy(np.add(CENTER_RAS, (3, 0, 0)))
    if how == "right click":
        bench.view.mouse.click(x, y, "Right")
    elif how == "double click":
        bench.view.mouse.double_click(x, y)
    elif how == "mouse mode":
        interaction().SetCurrentInteractionMode(interaction().ViewTransform)
    else:
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "the user's own")
    bench.settle()
    assert not bench.ui.pointPlusButton.checked and bench.status == ""
    done = entries(bench)
    assert done == (2 if how == "double click" else 1)
    bench.ui.pointPlusButton.click()
    bench.click((0, 3))
    bench.click((-3, 0))
    assert entries(bench) == done + 2


def test_another_tool_is_no_end(bench):
    bench.ui.pointPlusButton.click()
    bench.ui.pointMinusButton.click()
    bench.host.process_events()
    assert bench.ui.pointMinusButton.checked and interaction().GetCurrentInteractionMode() == interaction().Place


def test_next_segment_begins_with_point_plus(bench):
    bench.ui.nextSegmentButton.click()
    assert not bench.ui.pointPlusButton.checked
    bench.ui.pointMinusButton.click()
    bench.ui.nextSegmentButton.click()
    assert bench.ui.pointPlusButton.checked and not bench.ui.pointMinusButton.checked


def test_a_corner_clicked_while_the_network_loads_asks_for_the_other(bench):
    bench.ui.boxButton.click()
    bench.clickWithoutWaiting((-13, -13))
    bench.settle()
    assert bench.tools.session is not None and bench.status == "Click the opposite corner."


def test_what_was_missing_is_not_said_any_more_once_it_is_there(bench):
    parameters = bench.panel._parameterNode
    parameters.inputVolume = None
    assert bench.status == "Choose a volume."
    parameters.inputVolume, parameters.outputSegmentation = bench.volume, bench.segmentation
    assert bench.status == ""


def test_an_error_of_another_segment_is_not_said_any_more(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    bench.view.node.JumpSlice(*np.add(CENTER_RAS, (0, 0, 5)))
    bench.view.picture()
    bench.ui.eraseButton.click()
    bench.click()
    assert "no prompts on this slice" in bench.status
    bench.inputs.segmentSelector.setCurrentIndex(1)
    assert bench.status == "Click near the prompt that shall go."


def test_no_key_is_one_of_the_segment_editors_but_those_of_undo():
    editors = {qt.QKeySequence(key).toString() for key in SHORTCUT_KEYS}
    assert {name for name, key in KEYS.items() if key in editors} == {"undoButton", "redoButton"}
    assert len(set(KEYS.values())) == len(KEYS)


def test_no_key_is_one_of_the_slice_views(bench):
    """The real slice view answers its keys; ours do nothing in it."""

    def state():
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode") + slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return [node.GetMTime() for node in nodes]

    x, y = bench.view.ras_to_xy(CENTER_RAS)
    bench.view.mouse.move(x, y)
    for key in "bfrv":
        before = state()
        bench.view.mouse.press_key(key)
        assert state() != before, key
    before = state()
    for key in KEYS.values():
        bench.view.mouse.press_key(key.lower())
    assert state() == before


def test_keys_stand_on_the_buttons_and_in_their_tool_tips(bench):
    for name, key in KEYS.items():
        button = getattr(bench.ui, name)
        assert button.text.endswith(f"({key})") and button.toolTip.endswith(f"Key: {key}.")


def test_the_shortcuts_go_with_the_panel(bench, monkeypatch):
    window = qt.QMainWindow()
    monkeypatch.setattr(slicer.util, "mainWindow", lambda *_args: window)
    from MedNeXtSegmentLib.Refine.ToolShortcuts import toolShortcuts

    bench.tools.shortcuts = toolShortcuts(bench.ui, ())
    assert len(window.findChildren(qt.QShortcut)) == len(KEYS)
    slicer.mrmlScene.Clear(0)
    assert len(window.findChildren(qt.QShortcut)) == len(KEYS)  # the tools go on in the next scene
    bench.panel.close()
    bench.host.process_events()
    assert window.findChildren(qt.QShortcut) == []
