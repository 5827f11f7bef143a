"""Prompts made from a segment: one slice by a click, all slices by a button, as a preview that shows what comes and what goes."""

import numpy as np
import pytest
import slicer
from scipy import ndimage

from refine_bench import Bench, dice, useRandomWalker


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    """The ball is there, but moved by two voxels and without one of its layers."""
    useRandomWalker(monkeypatch)
    bench = Bench(host, representation, make_slice_view("Red", "Axial"))
    moved = np.roll(ndimage.binary_erosion(bench.truth), 2, axis=2)
    moved[17] = False
    slicer.util.updateSegmentBinaryLabelmapFromArray(moved.astype(np.uint8), bench.segmentation, "ball", bench.volume)
    return bench


def test_a_click_makes_prompts_of_the_segments_slice(bench):
    before = bench.mask()
    bench.ui.autoPromptButton.click()
    assert "becomes prompts" in bench.status
    bench.click()
    session = bench.tools.session
    assert session.boxRAS() is not None and len(session.clicksRAS()[0]) == 1 and len(session.clicksRAS()[1]) == 0
    changed = np.flatnonzero((bench.mask() ^ before).any(axis=(1, 2)))
    assert len(changed) == 1 and dice(bench.mask()[changed], bench.truth[changed]) > dice(before[changed], bench.truth[changed])
    bench.ui.undoButton.click()
    assert np.array_equal(bench.mask(), before) and not bench.ui.undoButton.enabled


def test_all_slices_are_repaired_as_a_preview_in_one_step_of_undo(bench):
    before = bench.mask()
    bench.ui.repairButton.click()
    bench.settle()
    session = bench.tools.session
    assert bench.status.startswith("Preview, in red what goes") and "confidence" in bench.status
    added, removed = session.preview()[0], session.removedByPreview()
    worked_on = np.flatnonzero((bench.mask() ^ before).any(axis=(1, 2)))
    assert len(worked_on) <= 1 and added.any() and removed.any() and not (added & removed).any()
    shown = slicer.mrmlScene.GetFirstNodeByName("MedNeXt preview")
    for segmentId, expected in (("preview", added), ("removed", removed)):
        assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(shown, segmentId, bench.volume) > 0, expected)
    repaired = (bench.mask() | added) & ~removed
    assert dice(repaired, bench.truth) > dice(before, bench.truth) and repaired[17].any()
    bench.ui.undoButton.click()
    assert np.array_equal(bench.mask(), before) and session.preview() is None and not bench.ui.undoButton.enabled
    bench.ui.redoButton.click()
    bench.ui.acceptButton.click()
    assert np.array_equal(bench.mask(), repaired)
    assert [entry["action"] for entry in session.journal.entries] == ["repair_slices", "undo", "redo", "accept"]


def test_the_button_pressed_again_stops_a_repair_which_says_how_far_it_is(bench):
    before, said = bench.mask(), []
    bench.ui.pointPlusButton.click()  # the session starts
    bench.settle()
    session = bench.tools.session
    told = session._onChanged

    def onChanged():
        told()
        if session.slicesDone is not None:
            said.append(bench.status)
            if session.slicesDone[0] == 2:
                bench.ui.repairButton.click()

    session._onChanged = onChanged
    bench.ui.repairButton.click()
    bench.settle()
    assert [text.split(" of ")[0] for text in dict.fromkeys(said)] == ["Slice 1", "Slice 2", "Slice 3"]
    assert "cancelled" in bench.status and np.array_equal(bench.mask(), before)
    assert session.slicesDone is None and not session.isPropagating and not session.journal.entries


def test_an_empty_segment_has_nothing_to_repair_and_a_hidden_one_is_left_alone(bench):
    bench.inputs.segmentSelector.setCurrentIndex(1)
    bench.ui.repairButton.click()
    bench.settle()
    assert "no slice to repair" in bench.status
    bench.inputs.segmentSelector.setCurrentIndex(0)
    before = bench.mask()
    bench.segmentation.GetDisplayNode().SetSegmentVisibility("ball", False)
    bench.ui.repairButton.click()
    bench.settle()
    assert "hidden" in bench.status and np.array_equal(bench.mask(), before)


def test_a_session_of_the_console_repairs_slices_of_any_plane_and_replays_them(bench):
    logic = bench.representation.self().logic
    session = logic.startRefinement(bench.volume, bench.segmentation, "ball", "random_walker")
    before = bench.mask()
    session.repairSlices(plane=(0.0, 0.6, 0.8))
    session.accept()
    after = bench.mask()
    assert dice(after, bench.truth) > dice(before, bench.truth)
    journal = session.journal
    session.undo()
    session.undo()
    assert np.array_equal(bench.mask(), before)
    journal.entries[:] = [entry for entry in journal.entries if entry["action"] != "undo"]
    again = logic.startRefinement(bench.volume, bench.segmentation, "ball", "random_walker")
    again.replay(journal)
    assert np.array_equal(bench.mask(), after)
