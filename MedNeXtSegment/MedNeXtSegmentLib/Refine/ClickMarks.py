"""What a refinement shows in the views: its prompts, and the preview of what was propagated. Hidden from the user's lists of nodes."""

from typing import TYPE_CHECKING

import numpy as np
import slicer

from MedNeXtSegmentLib.Scene.Segmentations import setSegmentMask

if TYPE_CHECKING:
    from MedNeXtSegmentLib.Refine.RefineSession import RefineSession

GREEN, RED, YELLOW = (0.1, 0.8, 0.2), (0.95, 0.2, 0.2), (1.0, 0.85, 0.1)


class ClickMarks:
    """Clicks, box and preview in the views.

    Shows nothing before `makeNodes`; nodes that a closing scene took are made again by the next call.
    """

    def __init__(self) -> None:
        self._positiveNode = self._negativeNode = self._boxNode = self._previewNode = None
        self._shownPreview = None

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
        _setPoints(self._positiveNode, positive)
        _setPoints(self._negativeNode, negative)
        _setPoints(self._boxNode, outline if corner is None else np.reshape(corner, (1, 3)))
        self._showPreview(session, session.preview() if isShown else None)

    def removeNodes(self) -> None:
        """Take everything out of the scene."""
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
            self._previewNode = _hidden(slicer.vtkMRMLSegmentationNode(), "MedNeXt preview")
            segmentId = self._previewNode.GetSegmentation().AddEmptySegment("preview", "preview")
            self._previewNode.GetSegmentation().GetSegment(segmentId).SetColor(*YELLOW)
        mask_kji, ijkToSegmentation = preview
        self._previewNode.SetDisplayVisibility(bool(mask_kji.any()))
        if mask_kji.any():
            self._previewNode.SetAndObserveTransformNodeID(session.segmentationNode.GetTransformNodeID())
            setSegmentMask(mask_kji, ijkToSegmentation, self._previewNode, "preview")


def hiddenMarkups(className: str, name: str, color: tuple[float, float, float]):
    """A new markups node in the scene that is in no list, not saved, and not for dragging."""
    node = _hidden(getattr(slicer, className)(), name)
    node.SetLocked(True)
    display = node.GetDisplayNode()
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetSelectedColor(*color)
    display.SetColor(*color)
    display.SetGlyphScale(2.0)
    if node.IsA("vtkMRMLMarkupsCurveNode"):
        node.SetCurveTypeToLinear()
        display.SetGlyphScale(1.0)
    return node


def isInScene(node) -> bool:
    """Whether a node, which may be None, is in the scene."""
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))


def removeNode(node) -> None:
    """Take a node and its display out of the scene; None and one that is gone are left alone."""
    if isInScene(node):
        display = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        slicer.mrmlScene.RemoveNode(display)


def _inScene(node, className: str, name: str, color):
    return node if isInScene(node) else hiddenMarkups(className, name, color)


def _setPoints(node, points: np.ndarray) -> None:
    """Give a node exactly these points; it is not touched where it has them."""
    shown = slicer.util.arrayFromMarkupsControlPoints(node, world=True) if node.GetNumberOfControlPoints() else np.zeros((0, 3))
    if shown.shape == points.shape and np.allclose(shown, points, atol=1e-6):
        return
    with slicer.util.NodeModify(node):
        node.RemoveAllControlPoints()
        for point in points:
            node.AddControlPointWorld(np.asarray(point, float).tolist())


def _hidden(node, name: str):
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node
