"""Surfaces and contours of segments that are edited: shown as they were while the user goes on, made anew when there is time."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import slicer

from MedNeXtSegmentLib.Scene.Layers import BINARY_LABELMAP
from MedNeXtSegmentLib.Scene.Representations import shapesOf


class DeferredShapes:
    """Takes shapes out of the way of edits of the labelmaps: Slicer would make them anew with each one, which takes seconds.

    Args:
        segmentationNode: vtkMRMLSegmentationNode.
        canDefer: False leaves everything to Slicer, always.
    """

    def __init__(self, segmentationNode, canDefer: bool = True) -> None:
        self._node, self._canDefer = segmentationNode, canDefer
        self._isDeferring = False
        self._stale: list[tuple[object, str, object]] = []  # vtkSegmentation, id and vtkSegment

    @property
    def areStale(self) -> bool:
        """Whether shapes are shown that are older than their voxels."""
        return bool(self._stale)

    def defer(self) -> None:
        """From now on somebody calls `refresh` when there is time; before, edits leave shapes to Slicer."""
        self._isDeferring = self._canDefer

    @contextmanager
    def aside(self, segmentIds: Collection[str]) -> Iterator[None]:
        """While voxels of these segments are edited, nothing is made from them; afterwards their shapes are there as they were."""
        segmentation = self._node.GetSegmentation()
        if not self._isDeferring or segmentation.GetSourceRepresentationName() != BINARY_LABELMAP:
            yield
            return
        segments = {segmentId: segmentation.GetSegment(segmentId) for segmentId in segmentIds}
        kept = {segmentId: shapesOf(segment) for segmentId, segment in segments.items() if segment is not None}
        with slicer.util.NodeModify(self._node):
            for segmentId, shapes in kept.items():
                for name in shapes:
                    segments[segmentId].RemoveRepresentation(name)
            try:
                yield
            finally:
                if segmentation.GetSourceRepresentationName() == BINARY_LABELMAP:
                    for segmentId, shapes in kept.items():
                        self._putBack(segmentation, segmentId, segments[segmentId], shapes)

    def refresh(self) -> None:
        """Make what is stale anew."""
        stale, self._stale = self._stale, []
        names: dict[object, set[str]] = {}
        for segmentation, segmentId, segment in stale:
            if segmentation.GetSegment(segmentId) is segment and segmentation.GetSourceRepresentationName() == BINARY_LABELMAP:
                for name in shapesOf(segment):
                    segment.RemoveRepresentation(name)
                    names.setdefault(segmentation, set()).add(name)
        with slicer.util.NodeModify(self._node):
            for segmentation, missing in names.items():
                for name in sorted(missing):
                    segmentation.CreateRepresentation(name, False)

    def _putBack(self, segmentation, segmentId: str, segment, shapes: dict[str, object]) -> None:
        if segmentation.GetSegment(segmentId) is not segment:
            return
        for name, shape in shapes.items():
            segment.AddRepresentation(name, shape)
        if shapes and (segmentation, segmentId, segment) not in self._stale:
            self._stale.append((segmentation, segmentId, segment))
