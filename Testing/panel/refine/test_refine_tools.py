"""The tools of the Refine tab: clicks in a row, erasing, filling between slices, stopping, window and level."""

import numpy as np
import pytest
import slicer

from refine_bench import CENTER_RAS, TIMEOUT_S, Bench, dice, useRandomWalker


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    useRandomWalker(monkeypatch)
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def points(name):
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    return 0 if node is None else node.GetNumberOfControlPoints()


def test_of_clicks_in_a_row_all_are_kept_and_the_newest_is_answered_for_all(bench, slow_answers):
    bench.ui.pointPlusButton.click()
    bench.settle()
    bench.clickWithoutWaiting()
    bench.clickWithoutWaiting((3, 2))
    bench.clickWithoutWaiting((-3, 2))
    bench.clickWithoutWaiting((0, -4))
    bench.settle()
    entries = [entry for entry in bench.tools.session.journal.entries if entry["action"] == "point"]
    assert len(entries) == 4 and points("MedNeXt object") == 4
    answered = [entry.get("answered", True) for entry in entries]
    assert answered[-1] and not all(answered)  # how many are overtaken depends on when the event loop brings them
    assert bench.mask().any()
    for left in (3, 2, 1, 0):
        assert bench.ui.undoButton.enabled
        bench.ui.undoButton.click()
        assert points("MedNeXt object") == left
    assert not bench.ui.undoButton.enabled and not bench.mask().any()


def test_the_first_click_need_not_wait_for_the_network_and_is_not_lost(bench):
    bench.ui.pointPlusButton.click()
    bench.clickWithoutWaiting()
    bench.clickWithoutWaiting((3, 2))
    bench.settle()
    assert points("MedNeXt object") == 2 and bench.mask().any()
    assert "random walker" in bench.ui.refinePrompterLabel.text


def test_a_click_is_shown_before_it_is_answered(bench):
    bench.ui.pointPlusButton.click()
    bench.settle()
    shown = []
    original = bench.tools.session._prompter.predict

    def predict(*arguments):
        shown.append(points("MedNeXt object"))
        return original(*arguments)

    bench.tools.session._prompter.predict = predict
    bench.click()
    del bench.tools.session._prompter.predict
    assert shown == [1]


def test_the_nearest_prompt_is_erased_and_undo_brings_it_back(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    bench.ui.pointMinusButton.click()
    bench.click((7, 0))
    second = bench.mask()
    assert not np.array_equal(first, second)
    bench.ui.eraseButton.click()
    bench.click((6, 1))
    assert points("MedNeXt background") == 0 and points("MedNeXt object") == 1
    assert np.array_equal(bench.mask(), first)
    bench.ui.undoButton.click()
    assert points("MedNeXt background") == 1
    assert np.array_equal(bench.mask(), second)


def test_a_box_is_drawn_and_can_be_erased(bench):
    bench.ui.boxButton.click()
    bench.click((-13, -13))
    assert points("MedNeXt box") == 1
    bench.click((13, 13))
    assert points("MedNeXt box") == 4 and bench.mask().any()
    bench.ui.eraseButton.click()
    bench.click((13, 2))
    assert points("MedNeXt box") == 0 and not bench.mask().any()
    bench.ui.undoButton.click()
    assert points("MedNeXt box") == 4 and bench.mask().any()


def test_only_prompts_of_the_slice_clicked_last_can_be_erased(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    before = bench.mask()
    bench.view.node.JumpSlice(*np.add(CENTER_RAS, (0, 0, 5)))
    bench.view.picture()
    bench.ui.eraseButton.click()
    bench.click()
    assert "no prompts on this slice" in bench.status
    assert np.array_equal(bench.mask(), before)


def test_the_gap_between_two_corrected_slices_is_filled(bench):
    bench.ui.pointPlusButton.click()
    layers = []
    for offset in (-4.8, 4.8):
        bench.view.node.JumpSlice(*np.add(CENTER_RAS, (0, 0, offset)))
        bench.view.picture()
        bench.click()
        layers.append(np.flatnonzero(bench.mask().any(axis=(1, 2))))
    bench.ui.fillBetweenButton.click()
    bench.settle()
    assert bench.status.startswith("Preview in yellow")
    bench.ui.acceptButton.click()
    filled = np.flatnonzero(bench.mask().any(axis=(1, 2)))
    assert filled.tolist() == list(range(layers[1].min(), layers[1].max() + 1))
    slab = np.zeros_like(bench.truth)
    slab[filled] = True
    assert dice(bench.mask(), bench.truth & slab) > 0.85


def test_a_propagation_can_be_stopped_and_leaves_nothing(bench, slow_answers):
    bench.ui.pointPlusButton.click()
    bench.click()
    before = bench.mask()
    session, button = bench.tools.session, bench.ui.propagateButton
    texts = []

    def stop():
        texts.append(button.text)
        button.click()

    import qt

    timer = qt.QTimer()
    timer.timeout.connect(lambda: stop() if session.isPropagating and not texts else None)
    timer.start(0)
    button.click()
    bench.settle()
    timer.stop()
    assert texts == ["Stop (M)"] and button.text == "Propagate (M)"
    assert "cancelled" in bench.status
    assert session.preview() is None and np.array_equal(bench.mask(), before)
    button.click()
    bench.settle()
    assert session.preview() is not None


def test_the_limits_are_named_by_the_direction_they_go(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    suffixes = [box.suffix for box in (bench.ui.slicesBackSpinBox, bench.ui.slicesAheadSpinBox)]
    assert sorted(suffixes) == [" slices inferior", " slices superior"]
    upwards = (bench.ui.slicesBackSpinBox, bench.ui.slicesAheadSpinBox)[suffixes.index(" slices superior")]
    downwards = (bench.ui.slicesBackSpinBox, bench.ui.slicesAheadSpinBox)[suffixes.index(" slices inferior")]
    upwards.setValue(2)
    downwards.setValue(0)
    clicked = int(np.flatnonzero(bench.mask().any(axis=(1, 2)))[0])
    bench.ui.propagateButton.click()
    bench.settle()
    bench.ui.acceptButton.click()
    assert np.flatnonzero(bench.mask().any(axis=(1, 2))).tolist() == [clicked, clicked + 1, clicked + 2]


def test_clicks_are_answered_on_what_is_displayed_or_not_as_the_box_says(bench):
    display = bench.volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, 2000)
    bench.ui.pointPlusButton.click()
    bench.click()
    display.SetWindowLevelMinMax(80, 200)
    bench.click((2, 0))
    bench.inputs.displayedWindowCheckBox.click()
    bench.click((4, 0))
    journal = bench.tools.session.journal
    assert journal.display_range == (0.0, 2000.0)
    assert [e["window"] for e in journal.entries if e["action"] == "window"] == [(80.0, 200.0), None]
    expected = bench.mask()
    display.SetWindowLevelMinMax(0, 50)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.zeros(expected.shape, np.uint8), bench.segmentation, "ball", bench.volume
    )
    logic = bench.representation.self().logic
    again = logic.startRefinement(bench.volume, bench.segmentation, "ball", "random_walker")
    again.replay(journal)
    bench.host.wait_until(lambda: not again.isBusy, TIMEOUT_S)
    assert np.array_equal(bench.mask(), expected)


def test_a_hidden_segment_is_not_changed_and_it_says_so(bench):
    display = bench.segmentation.GetDisplayNode()
    bench.ui.pointPlusButton.click()
    bench.settle()
    for hide, show in (
        (lambda: display.SetSegmentVisibility("ball", False), lambda: display.SetSegmentVisibility("ball", True)),
        (lambda: bench.segmentation.SetDisplayVisibility(False), lambda: bench.segmentation.SetDisplayVisibility(True)),
    ):
        hide()
        bench.click()
        assert not bench.mask().any() and "hidden" in bench.status
        show()
    bench.click()
    assert bench.mask().any()


def test_surfaces_follow_when_the_user_pauses(bench):
    segment = bench.segmentation.GetSegmentation().GetSegment("ball")
    bench.segmentation.GetSegmentation().CreateRepresentation("Closed surface")
    bench.ui.pointPlusButton.click()
    bench.click()
    surface = segment.GetRepresentation("Closed surface")
    bench.host.wait_until(lambda: not bench.tools.session.shapes.areStale, TIMEOUT_S)
    assert bench.mask().any() and segment.GetRepresentation("Closed surface") is not surface
    assert segment.GetRepresentation("Closed surface").GetNumberOfPoints()
    bench.ui.undoButton.click()
    bench.host.wait_until(lambda: not bench.tools.session.shapes.areStale, TIMEOUT_S)
    assert not segment.GetRepresentation("Closed surface").GetNumberOfPoints()
