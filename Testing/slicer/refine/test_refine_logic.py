"""A segment corrected by prompts, on the real scene and the real segment editor logic, with the random walker in this process."""

import numpy as np
import pytest
import slicer
import vtk
from scipy.spatial.transform import Rotation

from mednextseg.refine import load_prompter
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import cut_thickness_mm
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from refine_case import CENTER_MM, OBLIQUE, SHAPE_KJI, WALKER, Case, dice


@pytest.mark.parametrize("normal", [(0, 0, 1), (0, 1, 0), OBLIQUE], ids=["axial", "coronal", "oblique"])
@pytest.mark.parametrize("parent", ["world", "rotated and scaled parent"])
def test_a_click_on_any_plane_makes_that_slice_of_the_segment(logic, normal, parent):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (20, -15, 30), degrees=True).as_matrix() * 1.2
    matrix[:3, 3] = (30, -20, 10)
    case = Case(None if parent == "world" else matrix)
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=normal)
    geometry = arrayAndGeometryFromVolume(case.volume)[1]
    slab = case.near(normal, cut_thickness_mm(geometry, session.activePlane.normal_ras) / 2)
    mask = case.mask()
    assert not (mask & ~slab).any()
    assert dice(mask, case.truth_kji & slab) > 0.9
    assert not case.mask("other").any()


def test_clicks_on_the_same_slice_view_add_up_and_correct_each_other(logic, case):
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    slicer.mrmlScene.AddNode(view)
    view.SetOrientation("Axial")
    view.JumpSlice(*CENTER_MM)
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=view)
    plane = session.activePlane
    session.addPoint(case.world((6, 0, 0)), positive=False, plane=view)
    assert session.activePlane is plane
    k, j, i = np.round(arrayAndGeometryFromVolume(case.volume)[1].ijk_from_ras(case.world((6, 0, 0)))).astype(int)[::-1]
    assert not case.mask()[k, j, i]
    assert case.mask().any()


def test_a_click_repairs_one_slice_of_an_automatic_result_and_leaves_the_others(logic, case):
    damaged = case.truth_kji.copy()
    axial = case.near((0, 0, 1), 0.9)
    _, _, i = np.indices(SHAPE_KJI)
    damaged[axial & (i < SHAPE_KJI[2] / 2 - 3)] = False
    case.put("ball", damaged)
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world((6, 0, 0)), plane=(0, 0, 1))
    session.addPoint(case.world((-6, 0, 0)), plane=(0, 0, 1))
    slab = case.near((0, 0, 1), session.activePlane.thickness_mm / 2)
    assert dice(case.mask() & slab, case.truth_kji & slab) > dice(damaged & slab, case.truth_kji & slab) + 0.05
    assert np.array_equal(case.mask()[~slab], damaged[~slab])


def test_a_box_is_answered(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addBox([case.world((-12, -12, 0)), case.world((12, 12, 0))], plane=(0, 0, 1))
    slab = case.near((0, 0, 1), session.activePlane.thickness_mm / 2)
    assert dice(case.mask(), case.truth_kji & slab) > 0.85


def test_strokes_are_answered_on_any_plane_and_replayed(logic, case, tmp_path):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    along = np.cross(OBLIQUE, (0, 1, 0)) / np.linalg.norm(np.cross(OBLIQUE, (0, 1, 0)))
    session.addScribble([case.world(x * along) for x in range(-7, 8)], plane=OBLIQUE)
    geometry = arrayAndGeometryFromVolume(case.volume)[1]
    slab = case.near(OBLIQUE, cut_thickness_mm(geometry, session.activePlane.normal_ras) / 2)
    assert dice(case.mask(), case.truth_kji & slab) > 0.9 and not (case.mask() & ~slab).any()
    ((points, isPositive, isLasso),) = session.strokesRAS()
    assert points.shape == (15, 3) and isPositive and not isLasso
    session.addLasso([case.world(offset) for offset in ((3, 15, 0), (3, -15, 0), (15, -15, 0), (15, 15, 0))], False, (0, 0, 1))
    session.erasePrompt(case.world((3, 0, 0)), (0, 0, 1))
    assert session.strokesRAS() == []
    session.undo()
    expected = case.mask()
    session.journal.save(tmp_path / "strokes.json")
    again = Case()
    logic.startRefinement(again.volume, again.segmentation, "ball", WALKER).replay(tmp_path / "strokes.json")
    assert np.array_equal(again.mask(), expected)


def test_undo_twice_and_redo_are_exact(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    masks = [case.mask()]
    for offset, normal in (((0, 0, 0), (0, 0, 1)), ((4, 2, 0), (0, 1, 0)), ((0, 3, 1), OBLIQUE)):
        session.addPoint(case.world(offset), plane=normal)
        masks.append(case.mask())
        assert not np.array_equal(masks[-1], masks[-2])
    session.undo()
    assert np.array_equal(case.mask(), masks[2])
    session.undo()
    assert np.array_equal(case.mask(), masks[1])
    session.redo()
    session.redo()
    assert np.array_equal(case.mask(), masks[3])
    assert not session.canRedo
    for _ in range(4):
        session.undo()
    assert np.array_equal(case.mask(), masks[0])
    assert not session.canUndo


def test_what_is_propagated_is_a_preview_until_it_is_accepted(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    clicked = case.mask()
    ended = session.propagate(20, 20)
    assert all(ended)
    assert np.array_equal(case.mask(), clicked)
    preview_kji, _ = session.preview()
    assert not (preview_kji & clicked).any()
    session.accept()
    assert np.array_equal(case.mask(), clicked | preview_kji)
    assert dice(case.mask(), case.truth_kji) > 0.8
    session.undo()
    assert np.array_equal(case.mask(), clicked)
    assert session.preview() is not None
    session.undo()
    assert np.array_equal(case.mask(), clicked)
    assert session.preview() is None


def test_a_propagation_that_carries_nothing_on_says_why(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    session.propagate(0, 0)
    assert session.preview() is None
    assert session.takeNotice().startswith("Nothing was carried on to other slices: the limit of slices is reached")


def test_a_journal_gives_the_identical_mask_here_and_in_the_engine(logic, case, tmp_path):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    session.addPoint(case.world((0, 0, 5)), plane=OBLIQUE)
    session.undo()
    session.addBox([case.world((-9, 0, -9)), case.world((9, 0, 9))], plane=(0, 1, 0))
    session.propagate(2, 2)
    session.accept()
    expected = case.mask()
    session.journal.save(tmp_path / "prompts.json")

    again = Case()
    logic.startRefinement(again.volume, again.segmentation, "ball", WALKER).replay(tmp_path / "prompts.json")
    assert np.array_equal(again.mask(), expected)

    volume_kji, geometry = arrayAndGeometryFromVolume(case.volume)
    in_engine = replay(session.journal, volume_kji, geometry, load_prompter(WALKER))
    assert np.array_equal(in_engine.segment_kji, expected)
    with pytest.raises(ValueError, match="made with"):
        session.journal.model_hash = "another"
        logic.startRefinement(again.volume, again.segmentation, "ball", WALKER).replay(session.journal)


def test_what_cannot_be_refined_is_refused_with_a_sentence(logic, case):
    with pytest.raises(ValueError, match="no segment 'liver'"):
        logic.startRefinement(case.volume, case.segmentation, "liver", WALKER)
    with pytest.raises(ValueError, match="scalar volume"):
        logic.startRefinement(None, case.segmentation, "ball", WALKER)
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    case.volume.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(ValueError, match="non-linear transform 'bent'"):
        logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)


def test_a_session_ends_with_its_nodes_and_leaves_no_node_behind(logic, case):
    def editors() -> int:
        return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")

    before = editors()
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    assert editors() == before + 1
    slicer.mrmlScene.RemoveNode(case.volume)
    assert session.isClosed
    assert editors() == before
    with pytest.raises(ValueError, match="over"):
        session.addPoint((0, 0, 0))
    case = Case()
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    case.segmentation.GetSegmentation().RemoveSegment("ball")
    with pytest.raises(ValueError, match="was removed"):
        session.addPoint(CENTER_MM)
    slicer.mrmlScene.Clear(0)
    assert session.isClosed
