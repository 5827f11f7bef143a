"""Stroke -> whole object -> correct one slice -> resume -> snap -> accept -> undo all, with the mouse in a slice view."""

import numpy as np
import pytest

from MedNeXtSegmentLib.Scene.SliceViews import jumpSlicesTo
from refine_bench import CENTER_RAS, Bench, dice, useRandomWalker

ACROSS = [(x, 0.1 * x) for x in range(-8, 9, 2)]


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    useRandomWalker(monkeypatch)
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def press(bench, button):
    button.click()
    bench.settle()


def layers(mask):
    return np.flatnonzero(mask.any(axis=(1, 2))).tolist()


def test_the_scripted_session(bench):
    bench.ui.scribblePlusButton.click()
    bench.draw(ACROSS)
    masks = [np.zeros_like(bench.truth), bench.mask()]
    assert not bench.ui.doubtfulButton.enabled
    press(bench, bench.ui.wholeObjectButton)
    session = bench.tools.session
    assert (
        bench.status.startswith("Preview in yellow") and "confidence" in bench.status and np.array_equal(bench.mask(), masks[1])
    )
    preview = session.preview()[0] | bench.mask()
    assert dice(preview, bench.truth) > 0.75 and len(session.previewSlices()) == len(layers(preview)) - 1
    press(bench, bench.ui.doubtfulButton)
    (center, confidence), *_others = session.slicesToCheck()
    assert f"Slice 1 of {len(session.previewSlices())} to check: confidence {confidence:.2f}" in bench.status
    assert abs(bench.view.node.GetSliceToRAS().GetElement(2, 3) - center[2]) < 0.8
    ends = [place[2] for place, _confidence in session.previewSlices()]
    assert min(ends) < center[2] < max(ends) and abs(center[2] - CENTER_RAS[2]) > 0.8  # neither an end nor the slice drawn on
    # Two layers up the object is taken to end: everything is lassoed off.
    jumpSlicesTo(np.add(CENTER_RAS, (0, 0, 3.2)))
    bench.view.center_on(np.add(CENTER_RAS, (0, 0, 3.2)), field_of_view_mm=60)
    bench.view.picture()
    bench.ui.lassoMinusButton.click()
    bench.draw([(-20, -20), (20, -20), (20, 20), (-20, 20)])
    assert np.array_equal(bench.mask(), masks[1])  # the slice drawn on first stays as it is
    press(bench, bench.ui.wholeObjectButton)
    assert "up to a corrected slice" in bench.status
    resumed = session.preview()[0] | bench.mask()
    assert max(layers(resumed)) < max(layers(preview)) and layers(resumed)[0] == layers(preview)[0]
    press(bench, bench.ui.snapButton)
    snapped = session.preview()[0] | bench.mask()
    assert layers(snapped) == layers(resumed) and not np.array_equal(snapped, resumed)
    press(bench, bench.ui.acceptButton)
    masks.append(bench.mask())
    assert np.array_equal(masks[-1], snapped)
    for _action in range(6):
        bench.ui.undoButton.click()
    assert not bench.ui.undoButton.enabled and np.array_equal(bench.mask(), masks[0]) and session.preview() is None
    for _action in range(6):
        bench.ui.redoButton.click()
    assert np.array_equal(bench.mask(), masks[-1])


def test_each_prompt_is_carried_on_where_the_user_wants_it(bench):
    bench.ui.wholeObjectCheckBox.click()
    bench.ui.pointPlusButton.click()
    bench.click()
    assert [entry["action"] for entry in bench.tools.session.journal.entries] == ["point", "whole_object"]
    assert dice(bench.tools.session.preview()[0] | bench.mask(), bench.truth) > 0.75
    journal = bench.tools.session.journal
    press(bench, bench.ui.acceptButton)
    expected = bench.mask()
    press(bench, bench.ui.undoButton)
    again = bench.representation.self().logic.startRefinement(bench.volume, bench.segmentation, "second", "random_walker")
    journal.entries[:] = [entry for entry in journal.entries if entry["action"] != "undo"]
    again.replay(journal)
    assert np.array_equal(bench.mask("second"), expected)
