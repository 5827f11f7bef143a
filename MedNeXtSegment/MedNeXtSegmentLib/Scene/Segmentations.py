"""Segmentation nodes and arrays: labels into segments, segments as masks, their names, colors and codes.

Everything is exchanged in world RAS: parent transforms are applied in this folder and nowhere else.
"""

from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from mednextseg.geometry import Geometry
from mednextseg.json_values import shown
from mednextseg.labels.label import Label
from mednextseg.labels.terminology import terminology_entry
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, arrayFromMatrix, linearTransformToWorld

# Of a segmentation node: the engine's report as JSON, on which model, recipe and device made the segments.
REPORT_ATTRIBUTE = "MedNeXtSegment.Report"


def volumesMl(segmentationNode, names: list[str]) -> dict[str, float]:
    """Volume of each named segment in milliliters (cm3), by counting voxels; segments that are missing are left out."""
    volumes = {}
    for name in names:
        segmentId = segmentIdByName(segmentationNode, name)
        if segmentId is None:
            continue
        image = slicer.vtkOrientedImageData()
        segmentationNode.GetBinaryLabelmapRepresentation(segmentId, image)
        scalars = image.GetPointData().GetScalars()
        voxels = 0 if scalars is None else int(np.count_nonzero(vtk_to_numpy(scalars)))
        volumes[name] = voxels * float(np.prod(image.GetSpacing())) / 1000
    return volumes


def maskAndGeometryOfSegments(segmentationNode, segmentIds: Sequence[str]) -> tuple[np.ndarray, Geometry] | None:
    """One mask of several segments, cut to the box that holds them.

    Returns:
        uint8 (K, J, I), 0 outside, and its Geometry in world RAS; None where the segments are empty.
    Raises:
        ValueError: for a segment that is gone, one without voxels of its own (a surface), or a non-linear parent transform.
    """
    segmentation, name = segmentationNode.GetSegmentation(), segmentationNode.GetName()
    toWorld = linearTransformToWorld(segmentationNode)
    ids = vtk.vtkStringArray()
    for segmentId in segmentIds:
        if segmentation.GetSegment(segmentId) is None:
            raise ValueError(f"A segment of {name!r} was removed; match the segments again.")
        ids.InsertNextValue(segmentId)
    if not segmentation.ContainsRepresentation("Binary labelmap"):
        raise ValueError(
            f"{name!r} has surfaces but no voxels; create its binary labelmap first (Segmentations module, Representations)."
        )
    image = slicer.vtkOrientedImageData()
    extentMode = slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS
    segmentationNode.GenerateMergedLabelmapForAllSegments(image, extentMode, None, ids)
    scalars = image.GetPointData().GetScalars()
    if scalars is None or min(image.GetDimensions()) < 1:
        return None
    mask_kji = (vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]) > 0).astype(np.uint8)
    if not mask_kji.any():
        return None
    return mask_kji, _geometryOf(image, toWorld)


def otherGridNotice(segmentationNode, volumeNode) -> str:
    """What to know where a segmentation was made for another grid than a volume's, in one sentence; empty where there is nothing."""
    segmentation = segmentationNode.GetSegmentation()
    converter, image = slicer.vtkSegmentationConverter, slicer.vtkOrientedImageData()
    grid = segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if not grid or not converter.DeserializeImageGeometry(grid, image, False):
        return ""
    try:
        made, now = _geometryOf(image, linearTransformToWorld(segmentationNode)), arrayAndGeometryFromVolume(volumeNode)[1]
    except ValueError:  # said where the nodes are used
        return ""
    if made.matches(now):
        return ""
    text = _(
        "{segmentation} was made on another grid than {volume}: is it of the same patient? Otherwise choose another output."
    )
    return text.format(segmentation=shown(segmentationNode.GetName()), volume=shown(volumeNode.GetName()))


def writeLabelsToSegmentation(labelmap_kji: np.ndarray, geometry: Geometry, segmentationNode, labels: list[Label]) -> list[str]:
    """Put each label into the segment of its name: an existing segment's voxels are replaced, others are not touched.

    Args:
        labelmap_kji: integer labels (K, J, I), or a layer for each (layers, K, J, I), which may overlap.
        geometry: of the labelmap, in world RAS.
        segmentationNode: vtkMRMLSegmentationNode; may have its own (linear) parent transform.
        labels: what to write; segments that are missing are added with the label's name, color and terminology.
    Returns:
        The segment ids, in the order of `labels`.
    Raises:
        ValueError: where the segmentation is under a non-linear transform.
    """
    if labelmap_kji.ndim == 4:
        with slicer.util.NodeModify(segmentationNode):
            layers = zip(labelmap_kji, labels, strict=True)
            return [writeLabelsToSegmentation(layer, geometry, segmentationNode, [label])[0] for layer, label in layers]
    ijkToSegmentation = np.linalg.inv(linearTransformToWorld(segmentationNode)) @ geometry.ijk_to_ras
    present = set(np.flatnonzero(np.bincount(labelmap_kji.ravel())).tolist()) - {0}
    segmentIds = {}
    with slicer.util.NodeModify(segmentationNode):
        for label in labels:
            segmentId = segmentIdByName(segmentationNode, label.name)
            if segmentId is None:
                segmentId = segmentationNode.GetSegmentation().AddEmptySegment("", label.name)
                applyLabelToSegment(label, segmentationNode.GetSegmentation().GetSegment(segmentId))
            elif label.value not in present:
                setSegmentMask(np.zeros(geometry.shape_kji, bool), ijkToSegmentation, segmentationNode, segmentId)
            segmentIds[label.value] = segmentId
        written = sorted(present & set(segmentIds))
        if written:
            # Slicer takes the n-th identifier for the label n, so the labels are numbered without gaps; others become background.
            numbers = np.zeros(max(present) + 1, dtype=np.int16)
            numbers[written] = np.arange(1, len(written) + 1)
            box = extentOf(numbers[labelmap_kji] > 0)
            image = orientedImage(numbers[labelmap_kji[box]], ijkToSegmentation)
            # Voxels keep the numbers of the whole grid: Slicer cannot resample an empty segment, where numbers differ it has to.
            image.SetExtent([bound for side in box[::-1] for bound in (side.start, side.stop - 1)])
            _importLabels(image, segmentationNode, [segmentIds[value] for value in written])
    return [segmentIds[label.value] for label in labels]


def applyLabelToSegment(label: Label, segment) -> None:
    """Give a vtkSegment the label's name, color and terminology entry; without codes Slicer's default entry stays."""
    segment.SetName(label.name)
    segment.SetNameAutoGenerated(False)
    segment.SetColor([component / 255 for component in label.color])
    segment.SetColorAutoGenerated(False)
    entry = terminology_entry(label)
    if entry:
        segment.SetTerminology(entry)


def extentOf(mask_kji: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest box along K, J, I that holds all voxels of a mask that is not empty."""
    inside = [np.flatnonzero(mask_kji.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    k, j, i = (slice(int(indices[0]), int(indices[-1]) + 1) for indices in inside)
    return k, j, i


def _importLabels(image, segmentationNode, segmentIds: list[str]) -> None:
    """Replace the n-th segment's voxels by the label n of an image: several times as fast as segment by segment."""
    ids = vtk.vtkStringArray()
    for segmentId in segmentIds:
        ids.InsertNextValue(segmentId)
    if not slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(image, segmentationNode, ids):
        raise RuntimeError(f"The segments could not be written into {segmentationNode.GetName()!r}.")


def setSegmentMask(mask_kji: np.ndarray, ijkToSegmentation: np.ndarray, segmentationNode, segmentId: str) -> None:
    """Replace one segment's voxels.

    Args:
        mask_kji: bool.
        ijkToSegmentation: 4x4 from the mask's voxel indices to the segmentation node's own RAS.
    """
    image = orientedImage(mask_kji.astype(np.uint8), ijkToSegmentation)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(image, segmentationNode, segmentId, logic.MODE_REPLACE):
        raise RuntimeError(f"The segment {segmentId!r} could not be written; the segmentation is unchanged.")


def orientedImage(array_kji: np.ndarray, ijkToRAS: np.ndarray):
    """A vtkOrientedImageData that owns a copy of the array."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(array_kji.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array_kji).ravel(), deep=True))
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToRAS))
    return image


def _geometryOf(image, toWorld: np.ndarray) -> Geometry:
    """Of a vtkOrientedImageData whose own RAS a 4x4 brings to the world."""
    imageToRAS = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(imageToRAS)
    startToIJK = np.eye(4)
    startToIJK[:3, 3] = image.GetExtent()[::2]
    return Geometry(image.GetDimensions()[::-1], toWorld @ arrayFromMatrix(imageToRAS) @ startToIJK)


def segmentIdByName(segmentationNode, name: str) -> str | None:
    """The id of the segment with this name, None where there is none."""
    return segmentationNode.GetSegmentation().GetSegmentIdBySegmentName(name) or None


def isShown(segmentationNode, segmentId: str) -> bool:
    """Whether the views show a segment; so it is for a segmentation without display."""
    display = segmentationNode.GetDisplayNode()
    return display is None or bool(segmentationNode.GetDisplayVisibility() and display.GetSegmentVisibility(segmentId))


def newSegmentationFor(volumeNode, name: str):
    """A segmentation node that goes with a volume: same grid, same parent transform, beside it in the subject hierarchy."""
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    if hierarchy is not None:
        volumeItem = hierarchy.GetItemByDataNode(volumeNode)
        segmentationItem = hierarchy.GetItemByDataNode(segmentationNode)
        if volumeItem and segmentationItem:
            hierarchy.SetItemParent(segmentationItem, hierarchy.GetItemParent(volumeItem))
    return segmentationNode
