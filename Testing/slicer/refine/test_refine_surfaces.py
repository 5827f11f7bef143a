"""Surfaces of a segment that is refined: they may follow later than the voxels, and are never left behind."""

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from refine_case import WALKER

SURFACE = "Closed surface"


@pytest.fixture
def surfaces(case):
    """The case with something in both segments, and surfaces shown."""
    ball = case.truth_kji.copy()
    ball[:, :, 30:] = False
    for name, mask in (("ball", ball), ("other", case.truth_kji & ~ball)):
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), case.segmentation, name, case.volume)
    case.segmentation.GetSegmentation().CreateRepresentation(SURFACE)
    return case


def shown(case, name: str = "ball"):
    return case.segmentation.GetSegmentation().GetSegment(name).GetRepresentation(SURFACE)


def points(surface) -> np.ndarray:
    return vtk_to_numpy(surface.GetPoints().GetData()).copy()


def areFresh(case) -> bool:
    """Whether the surfaces are those that Slicer makes from the voxels."""
    found = {name: points(shown(case, name)) for name in ("ball", "other")}
    case.segmentation.GetSegmentation().CreateRepresentation(SURFACE, True)
    return all(np.array_equal(points(shown(case, name)), found[name]) for name in found)


def click(session, case, offset_mm=(6, 0, 0)) -> None:
    session.addPoint(case.world(offset_mm), plane=(0, 0, 1))


def test_voxels_change_at_once_and_surfaces_when_there_is_time(logic, surfaces):
    session = logic.startRefinement(surfaces.volume, surfaces.segmentation, "ball", WALKER)
    session.shapes.defer()
    before, surface = surfaces.mask(), shown(surfaces)
    click(session, surfaces)
    assert not np.array_equal(surfaces.mask(), before)
    assert shown(surfaces) is surface and session.shapes.areStale
    session.shapes.refresh()
    assert not session.shapes.areStale and areFresh(surfaces)
    session.undo()
    assert np.array_equal(surfaces.mask(), before) and session.shapes.areStale
    session.redo()
    session.undo()
    session.shapes.refresh()
    assert areFresh(surfaces)


@pytest.mark.parametrize("end", ["close", "save"])
def test_surfaces_are_never_left_behind(logic, surfaces, end):
    session = logic.startRefinement(surfaces.volume, surfaces.segmentation, "ball", WALKER)
    session.shapes.defer()
    click(session, surfaces)
    if end == "close":
        session.close()
    else:
        slicer.mrmlScene.StartState(slicer.mrmlScene.SaveState)
        slicer.mrmlScene.EndState(slicer.mrmlScene.SaveState)
    assert not session.shapes.areStale and areFresh(surfaces)


def test_showing_surfaces_between_undo_and_redo_costs_no_redo(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    click(session, case, (0, 0, 0))
    click(session, case, (3, 0, 0))
    clicked = case.mask()
    session.undo()
    case.segmentation.CreateClosedSurfaceRepresentation()
    assert session.canRedo
    session.redo()
    assert np.array_equal(case.mask(), clicked) and clicked.any()


def test_scripts_get_surfaces_with_each_click(logic, surfaces):
    session = logic.startRefinement(surfaces.volume, surfaces.segmentation, "ball", WALKER)
    click(session, surfaces)
    assert not session.shapes.areStale and areFresh(surfaces)


def test_a_segment_that_goes_while_its_surface_is_stale_is_no_trouble(logic, surfaces):
    session = logic.startRefinement(surfaces.volume, surfaces.segmentation, "ball", WALKER)
    session.shapes.defer()
    click(session, surfaces)
    surfaces.segmentation.GetSegmentation().RemoveSegment("ball")
    session.shapes.refresh()
    assert shown(surfaces, "other") is not None
