"""A segment corrected by prompts, on the real scene and the real segment editor logic, with the random walker in this process."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from mednextseg.refine import load_prompter
from mednextseg.refine.replay import replay
from mednextseg.refine.slices.slice_plane import cut_thickness_mm
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine

MODULE = Path(__file__).parents[3] / "MedNeXtSegment" / "MedNeXtSegment.py"
SHAPE_KJI = (24, 44, 48)
CENTER_MM = np.array([2.0, -3.0, 4.0])  # of the object, in the volume's own RAS
RADIUS_MM = 11.0
OBLIQUE = (0.3, 0.5, 0.8)
WALKER = "random_walker"


@pytest.fixture
def logic(host):
    host.load_module(str(MODULE))
    import MedNeXtSegment

    logic = MedNeXtSegment.MedNeXtSegmentLogic(InProcessEngine())
    yield logic
    logic.close()


class Case:
    """A bright ball in a noisy volume of anisotropic voxels, and a segmentation with the empty segments "ball" and "other"."""

    def __init__(self, parent=None):
        spacing_mm = np.array([1.0, 1.1, 1.8])
        ijk_to_ras = np.diag([*(spacing_mm * (-1, -1, 1)), 1.0])
        ijk_to_ras[:3, 3] = CENTER_MM - ijk_to_ras[:3, :3] @ (np.array(SHAPE_KJI[::-1]) / 2 - (0.3, 0.1, 0.4))
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
        self.truth_kji = np.linalg.norm(points - CENTER_MM, axis=-1) < RADIUS_MM
        voxels = 100 + 80 * self.truth_kji + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)
        self.volume = slicer.util.addVolumeFromArray(voxels.astype(np.float32), ijkToRAS=ijk_to_ras, name="CT")
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segments")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in ("ball", "other"):
            self.segmentation.GetSegmentation().AddEmptySegment(name, name)
        self.parent = np.eye(4) if parent is None else parent
        if parent is not None:
            transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(parent))
            self.volume.SetAndObserveTransformNodeID(transform.GetID())
            self.segmentation.SetAndObserveTransformNodeID(transform.GetID())

    def world(self, offset_mm=(0.0, 0.0, 0.0)) -> np.ndarray:
        """The ball's center, moved by mm in the volume's own RAS, in world RAS."""
        return (self.parent @ [*(CENTER_MM + offset_mm), 1.0])[:3]

    def mask(self, name: str = "ball") -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, name, self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    def put(self, name: str, mask_kji: np.ndarray) -> None:
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask_kji.astype(np.uint8), self.segmentation, name, self.volume)

    def near(self, normal, half_mm: float) -> np.ndarray:
        """Voxels whose center lies within half_mm of the plane through the ball's center; `normal` in world RAS."""
        _, geometry = arrayAndGeometryFromVolume(self.volume)
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ geometry.ijk_to_ras[:3, :3].T + geometry.ijk_to_ras[:3, 3]
        return np.abs((points - self.world()) @ (np.array(normal) / np.linalg.norm(normal))) <= half_mm

    def editor(self):
        """The settings of Slicer's own Segment Editor."""
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag("SegmentEditor")
        node = slicer.mrmlScene.AddNode(node)
        node.SetAndObserveSegmentationNode(self.segmentation)
        return node


@pytest.fixture
def case(host):
    return Case()


def dice(a, b) -> float:
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


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


@pytest.mark.parametrize("mode", ["OverwriteAllSegments", "OverwriteNone", "OverwriteVisibleSegments"])
def test_other_segments_are_overwritten_as_the_segment_editor_is_set(logic, case, mode):
    _, _, i = np.indices(SHAPE_KJI)
    other = case.truth_kji & (i < SHAPE_KJI[2] / 2)
    case.put("other", other)
    case.segmentation.GetDisplayNode().SetSegmentVisibility("other", mode != "OverwriteVisibleSegments")
    editor = case.editor()
    editor.SetOverwriteMode(getattr(editor, mode))
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    ball = case.mask()
    assert (ball & other).any()
    expected = other & ~ball if mode == "OverwriteAllSegments" else other
    assert np.array_equal(case.mask("other"), expected)
    session.undo()
    assert not case.mask().any()
    assert np.array_equal(case.mask("other"), other)


def test_the_editable_area_and_the_intensity_range_hold(logic, case):
    _, _, i = np.indices(SHAPE_KJI)
    other = case.truth_kji & (i < SHAPE_KJI[2] / 2)
    case.put("other", other)
    editor = case.editor()
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    assert case.mask().any()
    assert not (case.mask() & other).any()
    session.undo()
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    editor.SourceVolumeIntensityMaskOn()
    editor.SetSourceVolumeIntensityMaskRange(180, 1000)
    session.addPoint(case.world(), plane=(0, 0, 1))
    voxels = slicer.util.arrayFromVolume(case.volume)
    assert case.mask().any()
    assert voxels[case.mask()].min() >= 180


def test_one_segment_alone_can_be_the_editable_area(logic, case):
    _, _, i = np.indices(SHAPE_KJI)
    half = case.truth_kji & (i < SHAPE_KJI[2] / 2)
    case.put("other", half)
    editor = case.editor()
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("other")
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    assert case.mask().any() and not (case.mask() & ~half).any()


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


def test_a_segmentation_on_a_coarser_grid_under_its_own_transform_keeps_its_grid(logic, case):
    own = np.eye(4)
    own[:3, :3] = Rotation.from_euler("z", 25, degrees=True).as_matrix()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(own))
    coarse = np.diag([3.0, 2.5, 2.0, 1.0])
    coarse[:3, 3] = (-30, -30, -20)
    reference = slicer.util.addVolumeFromArray(np.zeros((24, 24, 20)), ijkToRAS=coarse)
    case.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    case.segmentation.SetAndObserveTransformNodeID(transform.GetID())
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    labelmap = case.segmentation.GetSegmentation().GetSegment("ball").GetRepresentation("Binary labelmap")
    np.testing.assert_allclose(labelmap.GetSpacing(), (3.0, 2.5, 2.0))
    grid = Geometry((24, 24, 20), own @ coarse)
    k, j, i = np.indices(grid.shape_kji)
    points = np.stack([i, j, k], axis=-1) @ grid.ijk_to_ras[:3, :3].T + grid.ijk_to_ras[:3, 3]
    offset = points - case.world()
    expected = (np.linalg.norm(offset, axis=-1) < RADIUS_MM) & (np.abs(offset[..., 2]) <= session.activePlane.thickness_mm / 2)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(case.segmentation, "ball", reference) > 0
    assert dice(mask, expected) > 0.85


def test_an_edit_by_somebody_else_is_what_the_next_click_starts_from(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    painted = np.zeros(SHAPE_KJI, bool)
    painted[2:4, 5:9, 5:9] = True
    case.put("ball", painted)
    session.addPoint(case.world(), plane=(0, 1, 0))
    assert (case.mask() & painted).sum() == painted.sum()
    assert len(session.journal.entries) == 1
    session.undo()
    assert np.array_equal(case.mask(), painted)


def test_an_edit_of_another_segment_does_not_end_the_prompts(logic, case):
    session = logic.startRefinement(case.volume, case.segmentation, "ball", WALKER)
    session.addPoint(case.world(), plane=(0, 0, 1))
    corner = np.zeros(SHAPE_KJI, bool)
    corner[:3, :3, :3] = True
    case.put("other", corner)
    session.addPoint(case.world((3, 0, 0)), plane=(0, 0, 1))
    assert len(session.journal.entries) == 2
    assert np.array_equal(case.mask("other"), corner)


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
