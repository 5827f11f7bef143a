"""Nodes by which a refinement shows something in the views, hidden from the user's lists."""

import numpy as np
import slicer

GREEN, RED, YELLOW = (0.1, 0.8, 0.2), (0.95, 0.2, 0.2), (1.0, 0.85, 0.1)


def hiddenMarkups(className: str, name: str, color: tuple[float, float, float]):
    """A new markups node in the scene that is in no list, not saved, and not for dragging."""
    node = hiddenNode(getattr(slicer, className)(), name)
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


def setPoints(node, points: np.ndarray) -> None:
    """Give a node exactly these points; it is not touched where it has them."""
    shown = slicer.util.arrayFromMarkupsControlPoints(node, world=True) if node.GetNumberOfControlPoints() else np.zeros((0, 3))
    if shown.shape == points.shape and np.allclose(shown, points, atol=1e-6):
        return
    with slicer.util.NodeModify(node):
        node.RemoveAllControlPoints()
        for point in points:
            node.AddControlPointWorld(np.asarray(point, float).tolist())


def hiddenNode(node, name: str):
    """A node added to the scene with its display, in no list and not saved."""
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetSaveWithScene(False)
    return node
