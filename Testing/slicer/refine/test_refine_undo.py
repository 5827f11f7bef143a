"""Undo of a refinement takes back its own last action, whatever happened to the segmentation meanwhile."""

import numpy as np
import pytest
import slicer

from mednextseg.refine.undo_states import UndoStack
from refine_case import SHAPE_KJI, WALKER

AXIAL = (0, 0, 1)


@pytest.fixture
def session(logic, case):
    return logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)


def corner() -> np.ndarray:
    mask = np.zeros(SHAPE_KJI, bool)
    mask[:3, :5, :5] = True
    return mask


def test_what_was_done_to_other_segments_meanwhile_survives(session, case):
    segmentation = case.segmentation.GetSegmentation()
    session.addPoint(case.world(), plane=AXIAL)
    case.put("other", corner())
    segmentation.AddEmptySegment("new", "new")
    segmentation.GetSegment("other").SetName("liver")
    session.undo()
    assert not case.mask().any() and np.array_equal(case.mask("other"), corner())
    assert list(segmentation.GetSegmentIDs()) == ["ball", "other", "new"]
    assert segmentation.GetSegment("other").GetName() == "liver"
    session.redo()
    assert case.mask().any() and np.array_equal(case.mask("other"), corner())


def test_painting_into_the_same_segment_survives_too_and_the_prompts_are_said_to_be_forgotten(session, case):
    session.addPoint(case.world(), plane=AXIAL)
    case.put("ball", case.mask() | corner())
    assert session.follow() and "forgotten" in session.takeNotice() and session.takeNotice() == ""
    assert session.canUndo
    session.undo()
    assert np.array_equal(case.mask(), corner()) and not session.canUndo
    session.redo()
    assert case.mask().sum() > corner().sum()


def test_of_two_sessions_each_undoes_its_own(logic, session, case):
    second = logic.startRefinement(case.volume, case.segmentation, "other", WALKER)
    session.addPoint(case.world(), plane=AXIAL)
    ball = case.mask()
    second.addPoint(case.world((0, 0, 7.2)), plane=AXIAL)
    other = case.mask("other")
    session.undo()
    assert not case.mask().any() and np.array_equal(case.mask("other"), other)
    session.redo()
    assert np.array_equal(case.mask(), ball)
    second.undo()
    assert not case.mask("other").any() and np.array_equal(case.mask(), ball)


def test_where_another_session_took_all_voxels_undo_says_so(logic, session, case):
    second = logic.startRefinement(case.volume, case.segmentation, "other", WALKER)
    session.addPoint(case.world(), plane=AXIAL)
    ball = case.mask()
    case.put("ball", corner())
    case.put("other", ball)
    with pytest.raises(ValueError, match="changed again since"):
        session.undo()
    assert np.array_equal(case.mask("other"), ball) and second.isClosed is False


def test_an_undo_by_the_module_is_followed(logic, session, case):
    session.addPoint(case.world(), plane=AXIAL)
    session.addPoint(case.world((6, 0, 0)), positive=False, plane=AXIAL)
    logic.undo(case.segmentation)
    session.follow()
    assert [len(part) for part in session.clicksRAS()] == [1, 0]
    logic.redo(case.segmentation)
    session.follow()
    assert [len(part) for part in session.clicksRAS()] == [1, 1]


@pytest.mark.parametrize("isDeep", [True, False])
def test_another_frame_forgets_the_prompts_says_so_and_is_not_changed_by_undo(session, case, isDeep):
    session.addPoint(case.world(), plane=AXIAL)
    frame = slicer.vtkMRMLSegmentationNode()
    frame.GetSegmentation().AddEmptySegment("ball", "ball")
    first = case.segmentation.GetSegmentation()
    case.segmentation.CopyContent(frame, isDeep)
    assert session.follow() and "forgotten" in session.takeNotice()
    if session.canUndo:
        with pytest.raises(ValueError, match="another one now"):
            session.undo()
    assert not case.mask().any()
    session.addPoint(case.world((0, 2, 0)), plane=AXIAL)
    assert case.mask().any()
    session.undo()
    assert not case.mask().any()
    if not isDeep:
        assert first.GetSegment("ball").GetRepresentation("Binary labelmap") is not None


def test_a_moved_volume_forgets_the_prompts_and_says_so(session, case):
    session.addPoint(case.world(), plane=AXIAL)
    case.volume.SetOrigin(1.0, 2.0, 3.0)
    assert session.follow() and "moved" in session.takeNotice()


def test_masks_that_allow_nothing_are_named(session, case):
    editor = case.editor()
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(5000, 6000)
    session.addPoint(case.world(), plane=AXIAL)
    assert not case.mask().any() and "masking" in session.takeNotice()
    editor.SourceVolumeIntensityMaskOff()
    session.addPoint(case.world((2, 0, 0)), plane=AXIAL)
    assert case.mask().any() and session.takeNotice() == ""


def test_voxels_come_back_even_where_the_prompts_of_an_action_took_too_much_memory_to_keep(session, case, monkeypatch):
    monkeypatch.setattr(session._edited.refinement, "_steps", UndoStack(maximum_bytes=0))
    states = [case.mask()]
    for height_mm in (0, 3.6, -3.6):
        session.addPoint(case.world((0, 0, height_mm)), plane=AXIAL)
        states.append(case.mask())
    for expected in states[-2::-1]:
        assert session.canUndo
        session.undo()
        assert np.array_equal(case.mask(), expected)
    while session.canRedo:
        session.redo()
    assert np.array_equal(case.mask(), states[-1])
