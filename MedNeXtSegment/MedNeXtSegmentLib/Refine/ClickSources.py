"""Where clicks and strokes come from: Slicer's markups and views in the Refine tab, the editor's events in the Segment Editor effect."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from MedNeXtSegmentLib.Refine.HiddenNodes import GREEN, RED, hiddenMarkups, isInScene, removeNode
from MedNeXtSegmentLib.Refine.StrokeDrawing import OnDrawn, OnMoved, StrokeDrawing, ViewStrokes

_CLICK_PX = 5  # farther from press to release is a drag


class ClickSource(Protocol):
    """Where clicks and strokes come from while a tool is chosen."""

    def start(self, isPositive: bool, onClick: Callable[[np.ndarray, object], None], onEnded: Callable[[], None]) -> None:
        """From now on call onClick(point in world RAS mm, vtkMRMLSliceNode or None) for each click; at once, or from the event loop.

        onEnded is called once, from the event loop, where somebody else took the mouse: no click comes any more.
        """

    def draw(self, onMoved: OnMoved, onDrawn: OnDrawn, onEnded: Callable[[], None]) -> None:
        """From now on tell of each line that is drawn, as StrokeDrawing does; onEnded as in `start`."""

    def stop(self) -> None:
        """Clicks belong to the views again."""

    def close(self) -> None:
        """Leave nothing in the scene."""


class MarkupsClicks(VTKObservationMixin):
    """A ClickSource that places points of a hidden markups node, which is emptied again after each click.

    A right click, a double click, Slicer's mouse-mode button and another markups node end it.
    """

    def __init__(self) -> None:
        VTKObservationMixin.__init__(self)
        self._node = None
        self._onClick: Callable[[np.ndarray, object], None] | None = None
        self._onEnded: Callable[[], None] | None = None
        self._wasPersistent = False
        self._strokes: ViewStrokes | None = None
        self._placing = slicer.qSlicerMarkupsPlaceWidget()
        self._placing.setMRMLScene(slicer.mrmlScene)
        self._placing.activeMarkupsPlaceModeChanged.connect(lambda *_args: self._onPlaceModeChanged())

    def start(self, isPositive: bool, onClick: Callable[[np.ndarray, object], None], onEnded: Callable[[], None]) -> None:
        """See ClickSource."""
        if not isInScene(self._node):
            self._node = hiddenMarkups("vtkMRMLMarkupsFiducialNode", "MedNeXt prompt", GREEN)
            self.addObserver(self._node, self._node.PointPositionDefinedEvent, self._onPointDefined)
        self._node.GetDisplayNode().SetActiveColor(*(GREEN if isPositive else RED))
        self._onClick, self._onEnded = onClick, onEnded
        self._placing.setCurrentNode(self._node)
        # Here, not before: it is one setting of Slicer, for all that place markups, and a closing scene resets it.
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self._wasPersistent = bool(interaction.GetPlaceModePersistence())
        self._placing.setPlaceModePersistency(True)
        self._placing.setPlaceModeEnabled(True)

    def draw(self, onMoved: OnMoved, onDrawn: OnDrawn, onEnded: Callable[[], None]) -> None:
        """See ClickSource."""
        self._strokes = ViewStrokes(StrokeDrawing(onMoved, onDrawn), onEnded)

    def stop(self) -> None:
        """See ClickSource."""
        if self._strokes is not None:
            self._strokes.close()
            self._strokes = None
        if self._onClick is None:
            return
        self._onClick = self._onEnded = None
        if isInScene(self._node):
            if self._placing.placeModeEnabled:  # else the mouse belongs to somebody else by now
                self._placing.setPlaceModeEnabled(False)
            self._node.RemoveAllControlPoints()
        self._placing.setPlaceModePersistency(self._wasPersistent)

    def close(self) -> None:
        """See ClickSource."""
        self.stop()
        self.removeObservers()
        removeNode(self._node)
        self._node = None

    def _onPlaceModeChanged(self) -> None:
        # Later: clicks that were made before come first, and a change of tools has ended.
        qt.QTimer.singleShot(0, self._checkEnd)

    def _checkEnd(self) -> None:
        if self._onEnded is not None and not self._placing.placeModeEnabled:
            onEnded, self._onEnded = self._onEnded, None
            onEnded()

    def _onPointDefined(self, node, _event=None) -> None:
        """Keep what was clicked; what follows from it waits for the event loop, because the view is still at work."""
        point = np.zeros(3)
        node.GetNthControlPointPositionWorld(node.GetNumberOfDefinedControlPoints() - 1, point)
        onClick, view = self._onClick, _sliceNodeUnderMouse()
        qt.QTimer.singleShot(0, lambda: self._handOn(onClick, point, view))

    def _handOn(self, onClick, pointRAS: np.ndarray, view) -> None:
        if isInScene(self._node):
            self._node.RemoveAllControlPoints()
        if onClick is not None:
            onClick(pointRAS, view)


class EffectClicks:
    """A ClickSource: the editor's interaction events in slice views, while a tool is chosen."""

    def __init__(self) -> None:
        self._onClick: Callable[[np.ndarray, object], None] | None = None
        self._pressedXY: tuple[int, int] | None = None
        self._drawing: StrokeDrawing | None = None

    def start(self, isPositive: bool, onClick: Callable[[np.ndarray, object], None], onEnded: Callable[[], None]) -> None:
        """See ClickSource."""
        self._onClick = onClick

    def draw(self, onMoved: OnMoved, onDrawn: OnDrawn, onEnded: Callable[[], None]) -> None:
        """See ClickSource."""
        self._drawing = StrokeDrawing(onMoved, onDrawn)

    def stop(self) -> None:
        """See ClickSource."""
        self._onClick = self._pressedXY = self._drawing = None

    def close(self) -> None:
        """See ClickSource."""
        self.stop()

    def process(self, interactor, eventId: int, viewNode, isWanted: Callable[[], bool]) -> bool:
        """A press and release of the left button in one place, without Shift or Control, is a click; other events are the view's.

        The second press of two quick ones comes as a double click.
        """
        isSlice = viewNode.IsA("vtkMRMLSliceNode")
        if self._drawing is not None:
            isPress = eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent)
            return isSlice and (not isPress or isWanted()) and self._drawing.process(interactor, eventId, viewNode)
        if self._onClick is None or not isSlice or interactor.GetShiftKey() or interactor.GetControlKey():
            return False
        if eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent):
            self._pressedXY = interactor.GetEventPosition() if isWanted() else None
            return self._pressedXY is not None
        if eventId != vtk.vtkCommand.LeftButtonReleaseEvent or self._pressedXY is None:
            return False
        pressedXY, self._pressedXY = self._pressedXY, None
        if np.abs(np.subtract(pressedXY, interactor.GetEventPosition())).max() <= _CLICK_PX:
            self._onClick(np.array(viewNode.GetXYToRAS().MultiplyPoint((*pressedXY, 0, 1))[:3]), viewNode)
        return True


def _sliceNodeUnderMouse():
    """The vtkMRMLSliceNode of the view that the mouse is in; None for another kind of view."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    return None if crosshair is None else crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
