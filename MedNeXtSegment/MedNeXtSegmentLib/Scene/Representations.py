"""Surfaces, contours and labelmaps of a segmentation: voxels can be edited only where labelmaps are the source of all others."""

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Scene.Layers import BINARY_LABELMAP, VoxelGrid, layersOf
from MedNeXtSegmentLib.Scene.VoxelRuns import VoxelRuns


def needLabelmaps(segmentationNode, volumeNode) -> None:
    """See that each segment has a binary labelmap, made from its surface or contours where there is none; the shapes stay.

    Args:
        segmentationNode: vtkMRMLSegmentationNode.
        volumeNode: whose grid labelmaps get where the segmentation says nothing of it.
    Raises:
        ValueError: in one sentence, where shapes cannot become voxels; nothing was changed.
    """
    segmentation = segmentationNode.GetSegmentation()
    if not segmentation.GetConversionParameter(slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()):
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    if _isLabelmapSource(segmentation) or not _segmentsWithoutLabelmap(segmentation):
        return
    hadLabelmaps = [segment for segment in _segments(segmentation) if segment.GetRepresentation(BINARY_LABELMAP) is not None]
    isDone = segmentation.CreateRepresentation(BINARY_LABELMAP, bool(hadLabelmaps))
    if isDone and not _segmentsWithoutLabelmap(segmentation):
        return
    for segment in _segments(segmentation):
        if segment not in hadLabelmaps:
            segment.RemoveRepresentation(BINARY_LABELMAP)
    text = _("{name} consists of shapes ({kind}) that cannot become voxels here; convert it to a binary labelmap first.")
    raise ValueError(text.format(name=repr(segmentationNode.GetName()), kind=segmentation.GetSourceRepresentationName()))


class SourceChange:
    """Labelmaps in the place of surfaces or contours as the source of a segmentation, and the way back.

    Args:
        segmentation: vtkSegmentation whose segments all have a labelmap; another source than labelmaps is replaced.
        isSourceKept: do nothing.

    Attributes:
        isDone: whether there was another source.
    """

    def __init__(self, segmentation, isSourceKept: bool = False) -> None:
        self._source = segmentation.GetSourceRepresentationName()
        self.isDone = not isSourceKept and self._source != BINARY_LABELMAP
        self._shapes: dict[str, dict[str, object]] = {}
        self._voxels: dict[str, tuple[VoxelGrid, VoxelRuns]] = {}
        if self.isDone:
            self._shapes = {
                segmentId: shapesOf(segmentation.GetSegment(segmentId)) for segmentId in segmentation.GetSegmentIDs()
            }
            self._voxels = _voxelsOf(segmentation)
            segmentation.SetSourceRepresentationName(BINARY_LABELMAP)

    @property
    def nbytes(self) -> int:
        """Memory this holds."""
        shapes = sum(shape.GetActualMemorySize() * 1024 for kept in self._shapes.values() for shape in kept.values())
        return shapes + sum(runs.nbytes for _grid, runs in self._voxels.values())

    def takeBack(self, segmentation) -> bool:
        """Make the shapes the source again, beside the labelmaps, unless voxels or segments were changed since.

        Returns:
            Whether the shapes are back.
        """
        ids = list(segmentation.GetSegmentIDs())
        if set(ids) != set(self._shapes) or not _isEqual(_voxelsOf(segmentation), self._voxels):
            return False
        segments = {segmentId: segmentation.GetSegment(segmentId) for segmentId in ids}
        labelmaps = {segmentId: segment.GetRepresentation(BINARY_LABELMAP) for segmentId, segment in segments.items()}
        segmentation.SetSourceRepresentationName(self._source)
        for segmentId, segment in segments.items():
            for name, shape in self._shapes[segmentId].items():
                segment.AddRepresentation(name, shape)
            if labelmaps[segmentId] is not None:
                segment.AddRepresentation(BINARY_LABELMAP, labelmaps[segmentId])
        return True


def shapesOf(segment) -> dict[str, object]:
    """What a vtkSegment has beside its labelmap, by name of representation."""
    names: list[str] = []
    segment.GetContainedRepresentationNames(names)
    return {name: segment.GetRepresentation(name) for name in names if name != BINARY_LABELMAP}


def _isLabelmapSource(segmentation) -> bool:
    return segmentation.GetSourceRepresentationName() == BINARY_LABELMAP


def _segments(segmentation) -> list:
    return [segmentation.GetNthSegment(number) for number in range(segmentation.GetNumberOfSegments())]


def _segmentsWithoutLabelmap(segmentation) -> list:
    source = segmentation.GetSourceRepresentationName()
    shaped = [segment for segment in _segments(segmentation) if segment.GetRepresentation(source) is not None]
    return [segment for segment in shaped if segment.GetRepresentation(BINARY_LABELMAP) is None]


def _voxelsOf(segmentation) -> dict[str, tuple[VoxelGrid, VoxelRuns]]:
    """Of each segment that holds voxels, where they are."""
    voxels = {}
    for layer in layersOf(segmentation):
        for label, segmentId in layer.segmentIds.items():
            runs = VoxelRuns((layer.values_kji.reshape(-1) == label).nonzero()[0])
            if len(runs):
                voxels[segmentId] = (layer.grid, runs)
    return voxels


def _isEqual(voxels: dict[str, tuple[VoxelGrid, VoxelRuns]], others: dict[str, tuple[VoxelGrid, VoxelRuns]]) -> bool:
    """Whether the same segments hold the same voxels, in boxes that may differ."""
    if set(voxels) != set(others):
        return False
    for segmentId, (grid, runs) in voxels.items():
        otherGrid, otherRuns = others[segmentId]
        if len(runs) != len(otherRuns) or not grid.matches(otherGrid.matrix):
            return False
        places = zip(grid.ijk(runs.voxels()), otherGrid.ijk(otherRuns.voxels()), strict=True)
        if not all((mine == theirs).all() for mine, theirs in places):
            return False
    return True
