"""Scribbles and lassos drawn with the mouse in slice views of the Refine tab."""

import numpy as np
import pytest
import slicer

from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from refine_bench import CENTER_RAS, Bench, dice, slabOf, useRandomWalker

ACROSS = [(x, 0.1 * x) for x in range(-8, 9, 2)]
AROUND = [(13 * np.cos(a), 13 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 20)]


@pytest.fixture
def bench(host, representation, make_slice_view, monkeypatch):
    useRandomWalker(monkeypatch)
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def curves(name="MedNeXt stroke"):
    return [node for node in slicer.util.getNodesByClass("vtkMRMLMarkupsCurveNode") if node.GetName() == name]


def actions(bench):
    return [entry["action"] for entry in bench.tools.session.journal.entries]


@pytest.mark.parametrize("normal", [None, (0.3, 0.5, 0.81)], ids=["axial", "oblique"])
def test_a_stroke_across_the_object_makes_its_slice(bench, normal):
    bench.look(normal)
    bench.ui.scribblePlusButton.click()
    bench.draw(ACROSS)
    assert actions(bench) == ["scribble"], bench.status
    plane = bench.tools.session.activePlane
    points = np.array(bench.tools.session.journal.entries[0]["points_ras_mm"])
    assert len(points) == len(ACROSS) and np.abs(plane.distance_mm(points)).max() < 1e-3
    geometry = arrayAndGeometryFromVolume(bench.volume)[1]
    indices = np.argwhere(bench.truth | bench.mask())[:, ::-1].astype(float)
    near = np.zeros(bench.truth.shape, bool)
    near[bench.truth | bench.mask()] = np.abs(plane.distance_mm(geometry.ras_from_ijk(indices))) < plane.thickness_mm / 2
    assert dice(bench.mask() & near, bench.truth & near) > 0.9
    assert [node.GetNumberOfControlPoints() for node in curves()] == [len(ACROSS)] and not curves("MedNeXt drawing")


def test_the_line_is_seen_while_it_is_drawn_and_the_view_does_not_move(bench):
    bench.ui.lassoPlusButton.click()
    bench.settle()
    display = bench.volume.GetDisplayNode()
    before = display.GetWindow(), display.GetLevel(), bench.view.node.GetSliceOffset()
    x, y = bench.view.ras_to_xy(CENTER_RAS)
    bench.view.mouse.press(x - 80, y)
    for step in (40, 80):
        bench.view.mouse.move(x - 80 + step, y + step)
    (drawn,) = curves("MedNeXt drawing")
    assert drawn.GetClassName() == "vtkMRMLMarkupsClosedCurveNode" and drawn.GetNumberOfControlPoints() == 3
    bench.view.mouse.release(x + 80, y)
    bench.settle()
    assert before == (display.GetWindow(), display.GetLevel(), bench.view.node.GetSliceOffset())
    assert not curves("MedNeXt drawing") and actions(bench) == ["lasso"]


def test_what_is_added_can_be_taken_away_erased_undone_and_done_again(bench):
    bench.ui.lassoPlusButton.click()
    bench.draw(AROUND)
    first = bench.mask()
    assert dice(first, bench.truth & slabOf(first)) > 0.85
    bench.ui.lassoMinusButton.click()
    assert not bench.ui.lassoPlusButton.checked
    bench.draw([(3, -20), (20, -20), (20, 20), (3, 20)])
    second = bench.mask()
    i = np.nonzero(second)[2]
    assert second.any() and not np.array_equal(first, second) and len(curves()) == 2
    assert (i * 1.2 - 19.7 * 1.2 <= 3 + 1.2).all() or (i * 1.2 - 19.7 * 1.2 >= -3 - 1.2).all()  # one side of the ball is gone
    bench.ui.scribbleMinusButton.click()
    bench.draw([(-6, -6), (-6, 6)])
    assert len(curves()) == 3
    bench.ui.eraseButton.click()
    bench.click((-6, 1))
    assert actions(bench)[-1] == "remove_stroke" and len(curves()) == 2 and bench.mask().any()
    for expected in (3, 2, 1):
        bench.ui.undoButton.click()
        assert len(curves()) == expected
    assert np.array_equal(bench.mask(), first)
    bench.ui.redoButton.click()
    assert np.array_equal(bench.mask(), second)


def test_a_stroke_is_masked_like_a_click(bench):
    _, _, i = np.indices(bench.truth.shape)
    other = bench.truth & (i < 18)
    slicer.util.updateSegmentBinaryLabelmapFromArray(other.astype(np.uint8), bench.segmentation, "second", bench.volume)
    editor = slicer.vtkMRMLSegmentEditorNode()
    editor.SetSingletonTag("SegmentEditor")
    editor = slicer.mrmlScene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(bench.segmentation)
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    bench.ui.scribblePlusButton.click()
    bench.draw(ACROSS)
    assert bench.mask().any() and not (bench.mask() & other).any()
    assert np.array_equal(bench.mask("second"), other)


def test_the_mouse_is_the_views_again_afterwards_and_a_point_tool_takes_over(bench):
    bench.ui.scribblePlusButton.click()
    bench.settle()
    bench.ui.scribblePlusButton.click()
    bench.draw(ACROSS)
    assert actions(bench) == [] and bench.status == ""
    bench.ui.scribblePlusButton.click()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.Place)  # the user's own markups
    bench.settle()
    assert not bench.ui.scribblePlusButton.checked
    bench.ui.scribblePlusButton.click()
    bench.draw(ACROSS)
    bench.ui.pointMinusButton.click()
    bench.click((9, 0))
    bench.ui.undoButton.click()
    bench.ui.undoButton.click()
    bench.ui.redoButton.click()  # a curve comes back while points are placed
    bench.settle()
    assert bench.ui.pointMinusButton.checked
    bench.click((9, 0))
    assert actions(bench) == ["scribble", "point", "undo", "undo", "redo", "point"]


def test_a_lasso_that_is_none_says_so_and_nothing_is_changed(bench):
    bench.ui.lassoPlusButton.click()
    bench.draw([(0, 0), (1, 0)])
    assert "lasso needs 3" in bench.status and not bench.mask().any() and not curves()
    bench.segmentation.SetDisplayVisibility(False)
    bench.draw(AROUND)
    assert "hidden" in bench.status and not bench.mask().any()
