"""The Segment Editor effect "MedNeXt Refine": the same tools, with the editor's own clicks, undo and masking."""

import numpy as np
import pytest
import slicer

from MedNeXtSegmentLib.Refine.ToolShortcuts import KEYS
from refine_bench import CENTER_RAS, TIMEOUT_S, Bench, dice, slabOf, useRandomWalker
from slicerhost.segment_editor import SHORTCUT_KEYS, SegmentEditor


class EffectBench(Bench):
    """The effect active in an editor, instead of the Refine tab."""

    def __init__(self, host, representation, view):
        super().__init__(host, representation, view)
        self.module.tabs.setCurrentIndex(0)
        slicer.modules.mednextsegment.widgetRepresentation().exit()
        factory = slicer.qSlicerSegmentEditorEffectFactory.instance()
        registered = next(effect for effect in factory.registered if effect.name == "MedNeXt Refine")
        self.editor = SegmentEditor(registered, self.volume, self.segmentation, "ball")
        self.editor.watch(view)
        self.tools = self.editor.effect.refine.tools
        self.ui = self.tools.ui
        self.editor.effect.activate()


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    import MedNeXtSegment

    useRandomWalker(monkeypatch)
    MedNeXtSegment.MedNeXtSegment(slicer.modules.mednextsegment).registerEditorEffect()
    bench = EffectBench(host, representation, make_slice_view("Red", "Axial"))
    yield bench
    bench.editor.close()
    slicer.qSlicerSegmentEditorEffectFactory.instance().registered.clear()


def test_a_click_in_a_view_corrects_the_editors_segment_and_the_editors_undo_takes_it_back(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    assert dice(first, bench.truth & slabOf(first)) > 0.9, bench.status
    bench.ui.pointMinusButton.click()
    bench.click((7, 0))
    second = bench.mask()
    assert not np.array_equal(first, second)
    assert not bench.ui.undoButton.enabled  # the editor's own Undo is there for it
    bench.editor.logic.Undo()
    bench.settle()
    assert np.array_equal(bench.mask(), first)
    assert [len(part) for part in bench.tools.session.clicksRAS()] == [1, 0]
    bench.editor.logic.Undo()
    bench.settle()
    assert not bench.mask().any()
    bench.editor.logic.Redo()
    bench.editor.logic.Redo()
    bench.settle()
    assert np.array_equal(bench.mask(), second)
    assert [len(part) for part in bench.tools.session.clicksRAS()] == [1, 1]
    bench.click((-7, 0))
    assert not np.array_equal(bench.mask(), second)
    assert len(bench.tools.session.clicksRAS()[1]) == 2


def test_the_editors_masking_holds(bench):
    _, _, i = np.indices(bench.truth.shape)
    other = bench.truth & (i < 18)
    slicer.util.updateSegmentBinaryLabelmapFromArray(other.astype(np.uint8), bench.segmentation, "second", bench.volume)
    bench.editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    bench.ui.pointPlusButton.click()
    bench.click((3, 0))
    assert bench.mask().any() and not (bench.mask() & other).any()
    assert np.array_equal(bench.mask("second"), other)


def test_a_preview_is_dropped_by_the_effects_undo_and_accepted_by_accept(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    clicked = bench.mask()
    bench.ui.propagateButton.click()
    bench.settle()
    assert bench.tools.session.preview() is not None and np.array_equal(bench.mask(), clicked)
    assert bench.ui.undoButton.enabled
    bench.ui.undoButton.click()
    assert bench.tools.session.preview() is None and np.array_equal(bench.mask(), clicked)
    bench.ui.propagateButton.click()
    bench.settle()
    bench.ui.acceptButton.click()
    accepted = bench.mask()
    assert accepted.any(axis=(1, 2)).sum() > 3
    bench.editor.logic.Undo()
    bench.settle()
    assert np.array_equal(bench.mask(), clicked) and bench.tools.session.preview() is not None


def test_events_go_to_the_view_unless_a_tool_is_chosen(bench):
    before = bench.view.node.GetSliceOffset()
    bench.click()
    assert bench.tools.session is None and not bench.mask().any()
    bench.ui.pointPlusButton.click()
    bench.view.mouse.wheel(200, 200, 1)
    assert bench.view.node.GetSliceOffset() != before
    x, y = bench.view.ras_to_xy(CENTER_RAS)
    bench.view.mouse.click(x, y, ctrl=True)
    bench.settle()
    assert not bench.mask().any()


def test_the_second_of_two_quick_clicks_counts_and_the_view_does_not_see_it(bench):
    seen = []
    bench.view.interactor.AddObserver("LeftButtonDoubleClickEvent", lambda *_args: seen.append("double click"))
    bench.ui.pointPlusButton.click()
    bench.settle()
    bench.view.mouse.double_click(*bench.view.ras_to_xy(CENTER_RAS))
    bench.settle()
    assert [entry["action"] for entry in bench.tools.session.journal.entries] == ["point", "point"] and not seen
    assert bench.ui.pointPlusButton.checked


def test_a_drag_is_no_click(bench):
    bench.ui.pointPlusButton.click()
    bench.settle()
    x, y = bench.view.ras_to_xy(CENTER_RAS)
    bench.view.mouse.drag((x, y), (x + 80, y))
    bench.settle()
    assert bench.tools.session.journal.entries == [] and bench.ui.pointPlusButton.checked
    bench.view.mouse.drag((x, y), (x + 2, y))
    bench.settle()
    assert len(bench.tools.session.journal.entries) == 1


def test_a_stroke_is_drawn_with_the_editors_own_events_and_undone_by_its_undo(bench):
    bench.ui.scribblePlusButton.click()
    bench.settle()
    bench.draw([(x, 0.2 * x) for x in range(-8, 9, 2)])
    first = bench.mask()
    assert [entry["action"] for entry in bench.tools.session.journal.entries] == ["scribble"]
    assert dice(first, bench.truth & slabOf(first)) > 0.9
    bench.ui.lassoMinusButton.click()
    bench.draw([(3, -15), (15, -15), (15, 15), (3, 15)])
    assert first.sum() > bench.mask().sum() > 0
    bench.editor.logic.Undo()
    bench.settle()
    assert np.array_equal(bench.mask(), first) and len(bench.tools.session.strokesRAS()) == 1
    x, y = bench.view.ras_to_xy(CENTER_RAS)
    bench.view.mouse.drag((x, y), (x + 80, y), ctrl=True)  # is the view's
    bench.settle()
    assert len(bench.tools.session.strokesRAS()) == 1


def test_surfaces_are_as_new_as_the_voxels_whose_states_the_editor_keeps(bench):
    bench.segmentation.GetSegmentation().CreateRepresentation("Closed surface")
    bench.ui.pointPlusButton.click()
    bench.click()
    assert not bench.tools.session.shapes.areStale
    assert bench.segmentation.GetSegmentation().GetSegment("ball").GetRepresentation("Closed surface").GetNumberOfPoints()


def test_undo_and_redo_keep_the_editors_keys(bench):
    keys = [shortcut.key.toString() for shortcut in bench.tools.shortcuts]
    assert not set(keys) & set(SHORTCUT_KEYS) and len(keys) == len(KEYS) - 3
    assert (bench.ui.undoButton.text, bench.ui.redoButton.text) == ("Undo", "Redo")


def test_deactivation_leaves_the_segment_and_nothing_else(bench):
    editors = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    bench.ui.pointPlusButton.click()
    bench.click()
    mask = bench.mask()
    assert all(shortcut.enabled for shortcut in bench.tools.shortcuts)
    bench.editor.effect.deactivate()
    assert not slicer.util.getNodes("MedNeXt *")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == editors
    assert not any(shortcut.enabled for shortcut in bench.tools.shortcuts)
    assert not bench.ui.pointPlusButton.checked
    bench.click((3, 0))
    assert np.array_equal(bench.mask(), mask)
    bench.editor.effect.activate()
    bench.ui.pointPlusButton.click()
    bench.click((3, 0))
    assert bench.tools.session is not None


def test_the_editors_choice_of_segment_is_followed(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    bench.editor.select_segment("second")
    assert bench.tools.session is None
    bench.look((0, 1, 0.001))
    bench.click((2, 1))
    assert bench.mask("second").any() and bench.tools.session.segmentId == "second"
    assert np.array_equal(bench.mask() | bench.mask("second"), first | bench.mask("second"))
    bench.editor.select_segment("")
    assert "Choose a segment" in bench.status


def test_a_hidden_segment_is_not_edited_unless_the_user_confirms(bench):
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("ball", False)
    bench.ui.pointPlusButton.click()
    bench.click()
    assert not bench.mask().any()
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("ball", True)
    bench.click()
    bench.host.wait_until(lambda: bench.mask().any(), TIMEOUT_S)


def test_the_effect_shares_the_modules_logic_and_says_who_answers(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    assert bench.tools.session in bench.representation.self().logic.refine.sessions
    assert "random walker" in bench.ui.refinePrompterLabel.text
    assert bench.editor.effect.helpText().startswith("<html>") and not bench.editor.effect.icon().isNull()
