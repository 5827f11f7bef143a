"""What a refinement shows in the views: its prompts, the line being drawn, and the preview of what was propagated."""

from typing import TYPE_CHECKING

import numpy as np
import slicer

from MedNeXtSegmentLib.Refine.HiddenNodes import GREEN, RED, YELLOW, hiddenMarkups, hiddenNode, isInScene, removeNode, setPoints
from MedNeXtSegmentLib.Refine.StrokeMarks import StrokeMarks
from MedNeXtSegmentLib.Scene.Segmentations import setSegmentMask

if TYPE_CHECKING:
    from MedNeXtSegmentLib.Refine.RefineSession import RefineSession


class ClickMarks:
    """Clicks, box, strokes and preview in the views: what will be added in yellow, what will be removed in red.

    Shows nothing before `makeNodes`; nodes that a closing scene took are made again by the next call.
    """

    def __init__(self) -> None:
        self._positiveNode = self._negativeNode = self._boxNode = self._previewNode = None
        self._shownPreview = None
        self._strokes = StrokeMarks("MedNeXt stroke")
        self._drawn = StrokeMarks("MedNeXt drawing")

    def makeNodes(self) -> None:
        """See that the markups are in the scene. To be called before clicks are placed: a markups node that is added becomes the one
        that receives them."""
        self._positiveNode = _inScene(self._positiveNode, "vtkMRMLMarkupsFiducialNode", "MedNeXt object", GREEN)
        self._negativeNode = _inScene(self._negativeNode, "vtkMRMLMarkupsFiducialNode", "MedNeXt background", RED)
        self._boxNode = _inScene(self._boxNode, "vtkMRMLMarkupsClosedCurveNode", "MedNeXt box", YELLOW)

    def show(self, session: "RefineSession | None", corner: np.ndarray | None = None) -> None:
        """Show the prompts and the preview of a session, None for none, and the first corner of a box to be, world RAS mm."""
        if not isInScene(self._boxNode):
            return
        isShown = session is not None and not session.isClosed
        none = np.zeros((0, 3))
        positive, negative = session.clicksRAS() if isShown else (none, none)
        box = session.boxRAS() if isShown else None
        outline = none if box is None else box
        setPoints(self._positiveNode, positive)
        setPoints(self._negativeNode, negative)
        setPoints(self._boxNode, outline if corner is None else np.reshape(corner, (1, 3)))
        self._strokes.show(session.strokesRAS() if isShown else [])
        self._showPreview(session, session.preview() if isShown else None)

    def showDrawn(self, stroke: tuple[np.ndarray, bool, bool] | None) -> None:
        """Show a line that is being drawn, as RefineSession.strokesRAS has it; None for none."""
        self._drawn.show([] if stroke is None else [stroke])

    def removeNodes(self) -> None:
        """Take everything out of the scene."""
        self._strokes.removeNodes()
        self._drawn.removeNodes()
        for node in (self._positiveNode, self._negativeNode, self._boxNode, self._previewNode):
            removeNode(node)
        self._positiveNode = self._negativeNode = self._boxNode = self._previewNode = self._shownPreview = None

    def _showPreview(self, session, preview) -> None:
        if preview is self._shownPreview and isInScene(self._previewNode):
            return
        self._shownPreview = preview
        if preview is None:
            if isInScene(self._previewNode):
                self._previewNode.SetDisplayVisibility(False)
            return
        if not isInScene(self._previewNode):
            self._previewNode = hiddenNode(slicer.vtkMRMLSegmentationNode(), "MedNeXt preview")
            for segmentId, color in (("preview", YELLOW), ("removed", RED)):
                self._previewNode.GetSegmentation().AddEmptySegment(segmentId, segmentId)
                self._previewNode.GetSegmentation().GetSegment(segmentId).SetColor(*color)
        (added_kji, ijkToSegmentation), removed_kji = preview, session.removedByPreview()
        self._previewNode.SetDisplayVisibility(bool(added_kji.any() or removed_kji.any()))
        self._previewNode.SetAndObserveTransformNodeID(session.segmentationNode.GetTransformNodeID())
        for segmentId, mask_kji in (("preview", added_kji), ("removed", removed_kji)):
            setSegmentMask(mask_kji, ijkToSegmentation, self._previewNode, segmentId)


def _inScene(node, className: str, name: str, color):
    return node if isInScene(node) else hiddenMarkups(className, name, color)
