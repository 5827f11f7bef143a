"""Follows whichever segmentation is chosen."""

from collections.abc import Callable

from slicer.util import VTKObservationMixin


class SegmentationObserver(VTKObservationMixin):
    """Tells of changes in one segmentation node after the other.

    Args:
        events: of vtkSegmentation.
        onEvent: called without arguments after each of them.

    Attributes:
        segmentation: the vtkSegmentation that is followed; None for none.
    """

    def __init__(self, events: tuple[int, ...], onEvent: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._events, self._onEvent = events, onEvent
        self.segmentation = None

    def follow(self, segmentationNode) -> None:
        """Follow this node from now on; None for none."""
        segmentation = None if segmentationNode is None else segmentationNode.GetSegmentation()
        if segmentation is self.segmentation:
            return
        for event in self._events:
            if self.segmentation is not None:
                self.removeObserver(self.segmentation, event, self._tell)
            if segmentation is not None:
                self.addObserver(segmentation, event, self._tell)
        self.segmentation = segmentation

    def _tell(self, _caller=None, _event=None) -> None:
        self._onEvent()
