"""What a refinement shows in the views: its clicks, and the preview of what was propagated. Hidden from the user's lists of nodes."""

from typing import TYPE_CHECKING

import numpy as np
import slicer

from MedNeXtSegmentLib import SlicerBridge

if TYPE_CHECKING:
    from MedNeXtSegmentLib.RefineSession import RefineSession

_GREEN, _RED, _YELLOW = (0.1, 0.8, 0.2), (0.95, 0.2, 0.2), (1.0, 0.85, 0.1)


class RefineMarks:
    """Makes its nodes when they are needed; those that a closing scene took are made again.

    Attributes:
        placingNode: vtkMRMLMarkupsFiducialNode that receives the clicks; None before `makeNodes`.
    """

    def __init__(self) -> None:
        self.placingNode = self._positiveNode = self._negativeNode = self._previewNode = None

    def makeNodes(self) -> None:
        """See that all nodes are in the scene."""
        self.placingNode = self._markups(self.placingNode, "MedNeXt prompt", _YELLOW)
        self._positiveNode = self._markups(self._positiveNode, "MedNeXt object", _GREEN)
        self._negativeNode = self._markups(self._negativeNode, "MedNeXt background", _RED)
        if not _isInScene(self._previewNode):
            self._previewNode = _hidden(slicer.vtkMRMLSegmentationNode(), "MedNeXt preview")
            segmentId = self._previewNode.GetSegmentation().AddEmptySegment("preview", "preview")
            self._previewNode.GetSegmentation().GetSegment(segmentId).SetColor(*_YELLOW)

    def setColor(self, isPositive: bool) -> None:
        """Show with the mouse what the next click will be."""
        self.placingNode.GetDisplayNode().SetActiveColor(*(_GREEN if isPositive else _RED))

    def show(self, session: "RefineSession | None") -> None:
        """Show the clicks and the preview of a session; None shows nothing."""
        if not _isInScene(self._positiveNode):
            return
        isShown = session is not None and not session.isClosed
        clicks = session.clicksRAS() if isShown else (np.zeros((0, 3)),) * 2
        for node, points in zip((self._positiveNode, self._negativeNode), clicks, strict=True):
            node.RemoveAllControlPoints()
            for point in points:
                node.AddControlPointWorld(point.tolist())
        if not isShown:
            self._previewNode.SetDisplayVisibility(False)
            return
        mask_kji, ijkToSegmentation = session.previewMask()
        self._previewNode.SetDisplayVisibility(bool(mask_kji.any()))
        if mask_kji.any():
            self._previewNode.SetAndObserveTransformNodeID(session.segmentationNode.GetTransformNodeID())
            SlicerBridge.setSegmentMask(mask_kji, ijkToSegmentation, self._previewNode, "preview")

    def removeNodes(self) -> None:
        """Take everything out of the scene."""
        for node in (self.placingNode, self._positiveNode, self._negativeNode, self._previewNode):
            if _isInScene(node):
                display = node.GetDisplayNode()
                slicer.mrmlScene.RemoveNode(node)
                slicer.mrmlScene.RemoveNode(display)
        self.placingNode = self._positiveNode = self._negativeNode = self._previewNode = None

    @staticmethod
    def _markups(node, name: str, color):
        if _isInScene(node):
            return node
        node = _hidden(slicer.vtkMRMLMarkupsFiducialNode(), name)
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetPointLabelsVisibility(False)
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        display.SetGlyphScale(2.0)
        return node


def _isInScene(node) -> bool:
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))


def _hidden(node, name: str):
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node
