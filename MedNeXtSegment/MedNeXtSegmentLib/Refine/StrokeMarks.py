"""Scribbles and lassos in the views."""

import numpy as np
import slicer

from MedNeXtSegmentLib.Refine.HiddenNodes import GREEN, RED, hiddenMarkups, isInScene, removeNode, setPoints


class StrokeMarks:
    """Shows lines; their nodes come and go with them.

    Args:
        name: of the nodes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list = []

    def show(self, strokes: list[tuple[np.ndarray, bool, bool]]) -> None:
        """Show just these: (N, 3) points in world RAS mm, whether it is positive, whether it is a lasso."""
        for index, (points, isPositive, isLasso) in enumerate(strokes):
            className = "vtkMRMLMarkupsClosedCurveNode" if isLasso else "vtkMRMLMarkupsCurveNode"
            color = GREEN if isPositive else RED
            node = self._nodes[index] if index < len(self._nodes) else None
            if not isInScene(node) or node.GetClassName() != className:
                removeNode(node)
                node = _newNode(className, self._name, color)
                self._nodes[index : index + 1] = [node]
            node.GetDisplayNode().SetSelectedColor(*color)
            setPoints(node, points)
        for node in self._nodes[len(strokes) :]:
            removeNode(node)
        del self._nodes[len(strokes) :]

    def removeNodes(self) -> None:
        """Take everything out of the scene."""
        self.show([])


def _newNode(className: str, name: str, color: tuple[float, float, float]):
    """A curve that does not become the markup that receives clicks, as one that is added does."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    before = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    node = hiddenMarkups(className, name, color)
    node.GetDisplayNode().SetGlyphScale(0.5)
    selection.SetReferenceActivePlaceNodeClassName(before[0])
    selection.SetActivePlaceNodeID(before[1])
    return node
