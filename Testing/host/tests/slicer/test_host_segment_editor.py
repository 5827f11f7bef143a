"""Slicer's real segment editor logic on the host: masking, overwriting, undo and redo."""

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

SHAPE_KJI = (10, 20, 40)
A = np.zeros(SHAPE_KJI, bool)
A[:, :, :10] = True  # 2000 voxels
B = np.zeros(SHAPE_KJI, bool)
B[:, :, 5:15] = True  # 2000 voxels, half of them in A


class Editor:
    """Segments a (filled with A) and b (empty), and the logic that edits them."""

    def __init__(self):
        voxels = np.zeros(SHAPE_KJI, np.int16)
        voxels[:, :, 10:] = 100
        self.volume_node = slicer.util.addVolumeFromArray(voxels)
        self.segmentation_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        self.segmentation_node.CreateDefaultDisplayNodes()
        self.segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume_node)
        for name in ("a", "b"):
            self.segmentation_node.GetSegmentation().AddEmptySegment(name, name)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetAndObserveSegmentationNode(self.segmentation_node)
        self.node.SetAndObserveSourceVolumeNode(self.volume_node)
        self.logic = slicer.vtkSlicerSegmentEditorLogic()
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.logic.SetSegmentEditorNode(self.node)
        self.modify("a", A)

    def modify(self, segment_id, mask_kji, mode="Set", bypass_masking=False):
        self.node.SetSelectedSegmentID(segment_id)
        self.logic.ResetModifierLabelmapToDefault()
        labelmap = self.logic.GetModifierLabelmap()
        modifier_kji = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
        modifier_kji[:] = mask_kji
        labelmap.Modified()
        self.logic.SaveStateForUndo()
        mode_value = getattr(self.logic, f"ModificationMode{mode}")
        self.logic.ModifySegmentByLabelmap(self.segmentation_node, segment_id, labelmap, mode_value, True, bypass_masking)

    def mask(self, segment_id):
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation_node, segment_id, self.volume_node)
        return np.zeros(SHAPE_KJI, bool) if array is None else array.astype(bool)

    def counts(self):
        return int(self.mask("a").sum()), int(self.mask("b").sum())


@pytest.fixture
def editor():
    return Editor()


def overwrite_all(editor):
    editor.node.SetOverwriteMode(editor.node.OverwriteAllSegments)


def overwrite_none(editor):
    editor.node.SetOverwriteMode(editor.node.OverwriteNone)


def outside_all_segments(editor):
    editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)


def inside_segment_a(editor):
    overwrite_none(editor)
    editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.node.SetMaskSegmentID("a")


def bright_voxels_only(editor):
    overwrite_none(editor)
    editor.node.SourceVolumeIntensityMaskOn()
    editor.node.SetSourceVolumeIntensityMaskRange(50, 150)


@pytest.mark.parametrize(
    ("setting", "expected_a", "expected_b"),
    [
        (overwrite_all, A & ~B, B),
        (overwrite_none, A, B),
        (outside_all_segments, A, B & ~A),
        (inside_segment_a, A, B & A),
        (bright_voxels_only, A, B & ~A),
    ],
)
def test_adding_obeys_overwrite_mode_and_masks_and_can_be_undone_and_redone(editor, setting, expected_a, expected_b):
    setting(editor)
    editor.modify("b", B, "Add")
    np.testing.assert_array_equal(editor.mask("a"), expected_a)
    np.testing.assert_array_equal(editor.mask("b"), expected_b)
    editor.logic.Undo()
    assert editor.counts() == (2000, 0)
    editor.logic.Redo()
    np.testing.assert_array_equal(editor.mask("a"), expected_a)
    np.testing.assert_array_equal(editor.mask("b"), expected_b)


def test_bypassing_the_masks_spares_the_intensity_mask_and_stops_overwriting(editor):
    bright_voxels_only(editor)
    overwrite_all(editor)
    editor.modify("b", B, "Add", bypass_masking=True)
    assert editor.counts() == (2000, 1000)


def test_undo_and_redo_step_through_several_edits_exactly(editor):
    overwrite_none(editor)
    editor.modify("b", B, "Add")
    editor.modify("b", A, "Remove")
    assert editor.counts() == (2000, 1000)
    editor.logic.Undo()
    np.testing.assert_array_equal(editor.mask("b"), B)
    editor.logic.Undo()
    assert not editor.mask("b").any()
    editor.logic.Redo()
    editor.logic.Redo()
    np.testing.assert_array_equal(editor.mask("b"), B & ~A)
    assert not editor.logic.CanRedo()


def test_redo_is_lost_after_making_closed_surfaces_but_not_after_hiding_a_segment(editor):
    editor.modify("b", B, "Add")
    editor.logic.Undo()
    editor.segmentation_node.GetDisplayNode().SetSegmentVisibility("a", False)
    assert editor.logic.CanRedo()
    editor.segmentation_node.CreateClosedSurfaceRepresentation()
    assert not editor.logic.CanRedo()
