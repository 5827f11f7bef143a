"""Clicks that come while another one is answered, as the event loop brings them; and undo by somebody else, which is followed."""

import numpy as np
import pytest
import slicer

from mednextseg.refine.prompter import PromptCancelledError
from mednextseg.refine.prompters.random_walker import RandomWalkerPrompter
from mednextseg.refine.replay import replay
from MedNeXtSegmentLib.Refine.RefineSession import RefineSession
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

SHAPE_KJI = (16, 36, 40)
AXIAL, CORONAL = (0, 0, 1), (0, 1, 0)


class InterruptedPrompter(RandomWalkerPrompter):
    """The random walker, except that the event loop goes on while it works, as it does for one in the worker process.

    Attributes:
        meanwhile: what happens during the next answer.
        answers: how many were given.
    """

    def __init__(self) -> None:
        self.meanwhile, self.answers = None, 0

    def predict(self, embedding, prompts, state=None, cancel=None):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if cancel is not None and cancel():
            raise PromptCancelledError("a newer prompt has arrived.")
        self.answers += 1
        return super().predict(embedding, prompts, state)


class Case:
    """A bright ball around the origin, an empty segment, and a session on them."""

    def __init__(self) -> None:
        ijk_to_ras = np.diag([1.0, 1.1, 1.8, 1.0])
        ijk_to_ras[:3, 3] = -ijk_to_ras[:3, :3] @ (np.array(SHAPE_KJI[::-1]) / 2)
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
        self.truth = np.linalg.norm(points, axis=-1) < 9
        voxels = 100 + 80 * self.truth + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)
        self.volume = slicer.util.addVolumeFromArray(voxels.astype(np.float32), ijkToRAS=ijk_to_ras)
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        self.segmentation.GetSegmentation().AddEmptySegment("ball", "ball")
        self.prompter, self.history = InterruptedPrompter(), EditHistory()
        self.session = RefineSession(self.volume, self.segmentation, "ball", self.prompter, self.history)

    def mask(self) -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, "ball", self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    def answered(self) -> list[bool]:
        return [entry.get("answered", True) for entry in self.session.journal.entries if entry["action"] == "point"]


@pytest.fixture
def case(host):
    case = Case()
    yield case
    case.session.close()


def test_of_clicks_on_one_slice_only_the_newest_is_answered(case):
    def more():
        for x in (2, 3, 4):
            case.session.addPoint((x, 0, 0), plane=AXIAL)

    case.prompter.meanwhile = more
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    assert case.answered() == [False, False, False, True] and case.prompter.answers == 1
    assert len(case.session.clicksRAS()[0]) == 4 and case.mask().any()
    journal, expected = case.session.journal, case.mask()
    volume_kji, geometry = arrayAndGeometryFromVolume(case.volume)
    assert np.array_equal(replay(journal, volume_kji, geometry, case.prompter).preview_segment(), expected)
    for left in (3, 2, 1, 0):
        case.session.undo()
        assert len(case.session.clicksRAS()[0]) == left and not case.mask().any()
    for _ in range(4):
        case.session.redo()
    assert np.array_equal(case.mask(), expected)


def test_a_click_on_another_slice_lets_the_first_one_finish(case):
    case.prompter.meanwhile = lambda: case.session.addPoint((0, 0, 0), plane=CORONAL)
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    assert case.answered() == [True, True]
    assert case.session.canUndo
    case.session.undo()
    axial = case.mask()
    assert axial.any() and (axial.any(axis=(1, 2)).sum() == 1)


def test_an_undo_asked_for_meanwhile_takes_the_running_click_back(case):
    case.prompter.meanwhile = case.session.undo
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    assert not case.mask().any() and not case.session.canUndo and case.session.canRedo


def test_where_the_view_was_at_the_click_counts(case):
    view = slicer.vtkMRMLSliceNode()
    view.SetLayoutName("Red")
    slicer.mrmlScene.AddNode(view)
    view.SetOrientation("Axial")
    view.JumpSlice(0, 0, 0)

    def clickAndScroll():
        case.session.addPoint((1, 0, 0), plane=view)
        view.JumpSlice(0, 0, 5.4)

    case.prompter.meanwhile = clickAndScroll
    case.session.addPoint((0, 0, 0), plane=view)
    assert case.mask().any(axis=(1, 2)).sum() == 1
    assert case.session.activePlane.origin_ras[2] == pytest.approx(0, abs=0.91)


def test_a_session_that_closes_meanwhile_writes_nothing(case):
    case.prompter.meanwhile = case.session.close
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    assert case.session.isClosed and case.prompter.answers == 0
    labelmap = case.segmentation.GetSegmentation().GetSegment("ball").GetRepresentation("Binary labelmap")
    assert labelmap is None or labelmap.IsEmpty()


def test_undo_and_redo_by_the_segment_editor_are_followed(case):
    editor = slicer.vtkSegmentationHistory()
    editor.SetSegmentation(case.segmentation.GetSegmentation())
    editor.SaveState()
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    first = case.mask()
    editor.SaveState()
    case.session.addPoint((6, 0, 0), positive=False, plane=AXIAL)
    second = case.mask()
    assert not np.array_equal(first, second)
    editor.RestorePreviousState()
    case.session.follow()
    assert len(case.session.clicksRAS()[1]) == 0 and np.array_equal(case.mask(), first)
    assert case.session.canUndo and case.session.canRedo
    editor.RestoreNextState()
    case.session.follow()
    assert len(case.session.clicksRAS()[1]) == 1
    case.session.undo()
    case.session.undo()
    assert not case.mask().any() and len(case.session.clicksRAS()[0]) == 0


def test_erasing_answers_what_is_left(case):
    case.session.addPoint((0, 0, 0), plane=AXIAL)
    first = case.mask()
    case.session.addPoint((6, 0, 0), positive=False, plane=AXIAL)
    case.session.erasePrompt((5, 1, 0), AXIAL)
    assert np.array_equal(case.mask(), first)
    case.session.addBox([(-10, -10, 0), (10, 10, 0)], AXIAL)
    case.session.erasePrompt((-9, 0, 0), AXIAL)
    assert case.session.boxRAS() is None and np.array_equal(case.mask(), first)
    with pytest.raises(ValueError, match="no prompts on this slice"):
        case.session.erasePrompt((0, 0, 6), AXIAL)
