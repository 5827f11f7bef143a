"""Corrections beside other edits: what the Segment Editor's masks allow, other segments, other grids, other hands."""

import numpy as np
import pytest
import slicer
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from refine_case import RADIUS_MM, SHAPE_KJI, WALKER, dice


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
