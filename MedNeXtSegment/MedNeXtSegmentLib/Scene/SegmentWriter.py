"""A segment's voxels on the Segment Editor's own grid, read and written as the Segment Editor itself would."""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from mednextseg.geometry import Geometry
from MedNeXtSegmentLib.Scene.Layers import BINARY_LABELMAP, gridOf
from MedNeXtSegmentLib.Scene.Representations import needLabelmaps
from MedNeXtSegmentLib.Scene.Volumes import arrayFromMatrix, linearTransformToWorld

_EDITOR_TAG = "SegmentEditor"  # of the one node that holds the settings of Slicer's Segment Editor module


class SegmentWriter:
    """Edits one segment with a vtkSlicerSegmentEditorLogic, so that overwrite mode, editable area and intensity range hold.

    Args:
        volumeNode, segmentationNode, segmentId: what is edited, and the source volume of the editor.
        settingsNode: vtkMRMLSegmentEditorNode whose settings hold; None for those of Slicer's Segment Editor module.

    Attributes:
        geometry: of the grid in world RAS, the segmentation's parent transform included.
        grid: the same as a VoxelGrid, in the segmentation node's own RAS.
        toWorld: 4x4 from the segmentation node's own RAS to world RAS.
    Raises:
        ValueError: where the segmentation is under a non-linear transform, or its shapes cannot become voxels.
    """

    def __init__(self, volumeNode, segmentationNode, segmentId: str, settingsNode=None) -> None:
        self._segmentationNode, self._segmentId, self._settingsNode = segmentationNode, segmentId, settingsNode
        self.toWorld = linearTransformToWorld(segmentationNode)
        needLabelmaps(segmentationNode, volumeNode)
        self._editedSegment = self.segment
        self._node = slicer.vtkMRMLSegmentEditorNode()
        self._node.SetHideFromEditors(True)
        self._node.SetSaveWithScene(False)
        slicer.mrmlScene.AddNode(self._node)
        self._node.SetAndObserveSegmentationNode(segmentationNode)
        self._node.SetAndObserveSourceVolumeNode(volumeNode)
        self._node.SetSelectedSegmentID(segmentId)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetSegmentEditorNode(self._node)
        self._logic.ResetModifierLabelmapToDefault()
        grid = self._logic.GetModifierLabelmap()
        self._extent = grid.GetExtent()
        self._gridToSegmentation = vtk.vtkMatrix4x4()
        grid.GetImageToWorldMatrix(self._gridToSegmentation)
        self.grid = gridOf(grid)
        first = np.eye(4)
        first[:3, 3] = self._extent[0::2]
        matrix = self.toWorld @ arrayFromMatrix(self._gridToSegmentation) @ first
        self.geometry = Geometry(grid.GetDimensions()[::-1], matrix)

    def close(self) -> None:
        """Take the editor's settings node out of the scene."""
        self._logic.SetSegmentEditorNode(None)
        if slicer.mrmlScene.IsNodePresent(self._node):
            slicer.mrmlScene.RemoveNode(self._node)

    @property
    def segment(self):
        """The vtkSegment; None where it was removed."""
        return self._segmentationNode.GetSegmentation().GetSegment(self._segmentId)

    @property
    def isReplaced(self) -> bool:
        """Whether the node holds another segment of this id now, as another frame of a sequence does."""
        return self.segment is not self._editedSegment

    @property
    def version(self) -> tuple:
        """Changes whenever the segment's voxels or those it shares a labelmap with do."""
        labelmap = self.segment.GetRepresentation(BINARY_LABELMAP)
        return (None, 0) if labelmap is None else (labelmap, labelmap.GetMTime())

    def read(self, box: tuple[slice, slice, slice] | None = None) -> np.ndarray:
        """(K, J, I) bool on the grid, or of a box of it; voxels of the segment beyond are left out."""
        box = box or tuple(slice(0, n) for n in self.geometry.shape_kji)
        mask_kji = np.zeros([side.stop - side.start for side in box], bool)
        labelmap = self.segment.GetRepresentation(BINARY_LABELMAP)
        if labelmap is None or labelmap.IsEmpty():
            return mask_kji
        labelValue = self.segment.GetLabelValue()
        if not self.grid.matches(gridOf(labelmap).matrix):
            own = slicer.vtkOrientedImageData()
            self._segmentationNode.GetBinaryLabelmapRepresentation(self._segmentId, own)
            labelmap, labelValue = slicer.vtkOrientedImageData(), 1
            resample = slicer.vtkOrientedImageDataResample
            resample.ResampleOrientedImageToReferenceOrientedImage(own, self._image(mask_kji, self._extentOf(box)), labelmap)
        extent = gridOf(labelmap).extent
        voxels_kji = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(labelmap.GetDimensions()[::-1])
        target, source, wanted = [], [], self._extentOf(box, self.grid.extent)
        for axis in (2, 1, 0):
            first, begin = wanted[2 * axis], extent[2 * axis]
            low = max(first, begin)
            high = max(min(wanted[2 * axis + 1], extent[2 * axis + 1]) + 1, low)
            target.append(slice(low - first, high - first))
            source.append(slice(low - begin, high - begin))
        mask_kji[tuple(target)] = voxels_kji[tuple(source)] == labelValue
        return mask_kji

    def write(self, changed: np.ndarray, isAdded: np.ndarray) -> None:
        """Add voxels to the segment or remove them from it, as far as the user's editor settings allow it.

        Args:
            changed: (N,) flat indices on the grid.
            isAdded: (N,) bool; False removes the voxel.
        """
        self._adoptSettings()
        for mode, which in ((self._logic.ModificationModeRemove, ~isAdded), (self._logic.ModificationModeAdd, isAdded)):
            voxels = changed[which]
            if not len(voxels):
                continue
            box, places = self.boxOf(voxels)
            changed_kji = np.zeros([side.stop - side.start for side in box], bool)
            changed_kji[places] = True
            extent = self._extentOf(box)
            image = self._image(changed_kji, extent)
            self._logic.ModifySegmentByLabelmap(self._segmentationNode, self._segmentId, image, mode, extent, True, False)

    def boxOf(self, voxels: np.ndarray) -> tuple[tuple[slice, slice, slice], tuple[np.ndarray, ...]]:
        """The smallest box along K, J, I that holds voxels, given by flat indices, at least one; and their places in it."""
        kji = np.unravel_index(voxels, self.geometry.shape_kji)
        box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in kji)
        return box, tuple(axis - side.start for axis, side in zip(kji, box, strict=True))

    def _extentOf(self, box: tuple[slice, slice, slice], whole: tuple[int, ...] | None = None) -> list[int]:
        """First and last I, J, K of a box, in the numbers of the editor's grid, or others in which this is the extent of the whole."""
        whole = self._extent if whole is None else whole
        extent = [0] * 6
        for axis, side in zip((2, 1, 0), box, strict=True):
            extent[2 * axis : 2 * axis + 2] = [whole[2 * axis] + n for n in (side.start, side.stop - 1)]
        return extent

    def _adoptSettings(self) -> None:
        """Take over the settings of the Segment Editor; a mask that was set up for another segmentation does not hold here."""
        users = self._settingsNode or slicer.mrmlScene.GetSingletonNode(_EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if users is None:
            return
        node = self._node
        node.SetOverwriteMode(users.GetOverwriteMode())
        isForThis = users.GetSegmentationNode() is self._segmentationNode
        node.SetMaskMode(users.GetMaskMode() if isForThis else slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
        node.SetMaskSegmentID(users.GetMaskSegmentID() if isForThis else None)
        node.SetSourceVolumeIntensityMask(isForThis and users.GetSourceVolumeIntensityMask())
        node.SetSourceVolumeIntensityMaskRange(*users.GetSourceVolumeIntensityMaskRange())

    def _image(self, mask_kji: np.ndarray, extent):
        image = slicer.vtkOrientedImageData()
        image.SetExtent(*extent)
        image.GetPointData().SetScalars(numpy_to_vtk(mask_kji.astype(np.uint8).ravel(), deep=True))
        image.SetImageToWorldMatrix(self._gridToSegmentation)
        return image
