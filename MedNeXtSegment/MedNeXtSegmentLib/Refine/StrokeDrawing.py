"""A line drawn in a slice view with the left mouse button."""

from collections.abc import Callable

import numpy as np
import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from MedNeXtSegmentLib.Scene.SliceViews import sliceViews

OnMoved = Callable[[np.ndarray], None]
OnDrawn = Callable[[np.ndarray, object], None]

_STEP_PX = 3  # on the screen; nearer points say nothing more
_MOST_POINTS = 2000


class StrokeDrawing:
    """Follows the mouse from press to release.

    Args:
        onMoved: called with the line so far, (N, 3) world RAS mm.
        onDrawn: called from the event loop with the whole line and the vtkMRMLSliceNode of its view.
    """

    def __init__(self, onMoved: OnMoved, onDrawn: OnDrawn) -> None:
        self._onMoved, self._onDrawn = onMoved, onDrawn
        self._viewNode = None
        self._lastXY = (0, 0)
        self._points: list[np.ndarray] = []

    def process(self, interactor, eventId: int, viewNode) -> bool:
        """An event of a slice view; True where it is not to go on to the view.

        A press with Shift or Control, and every other button, is the view's own.
        """
        isPress = eventId in (vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.LeftButtonDoubleClickEvent)
        if isPress and not interactor.GetShiftKey() and not interactor.GetControlKey():
            self._viewNode, self._points = viewNode, []
            self._add(interactor.GetEventPosition())
            return True
        if self._viewNode is None or viewNode is not self._viewNode:
            return False
        xy = interactor.GetEventPosition()
        isFar = np.abs(np.subtract(xy, self._lastXY)).max() >= _STEP_PX
        if eventId == vtk.vtkCommand.MouseMoveEvent:
            if isFar and len(self._points) < _MOST_POINTS:
                self._add(xy)
            return True
        if eventId != vtk.vtkCommand.LeftButtonReleaseEvent:
            return False
        if isFar:
            self._add(xy)
        points, self._viewNode, self._points = np.array(self._points), None, []
        qt.QTimer.singleShot(0, lambda: self._onDrawn(points, viewNode))  # later: the view is still at work
        return True

    def _add(self, xy: tuple[int, int]) -> None:
        self._lastXY = xy
        self._points.append(np.array(self._viewNode.GetXYToRAS().MultiplyPoint((*xy, 0, 1))[:3]))
        self._onMoved(np.array(self._points))


_EVENTS = ("LeftButtonPressEvent", "LeftButtonDoubleClickEvent", "MouseMoveEvent", "LeftButtonReleaseEvent")
_BEFORE_THE_VIEW = 10.0  # priority of an observer


class ViewStrokes(VTKObservationMixin):
    """Gives the left mouse button in all slice views to a StrokeDrawing; every other way to move the views stays.

    Args:
        drawing: what draws.
        onEnded: called once, from the event loop, where the user starts to place markups.
    """

    def __init__(self, drawing: StrokeDrawing, onEnded: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._drawing, self._onEnded = drawing, onEnded
        self._tags: list[tuple] = []
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self.addObserver(interaction, interaction.InteractionModeChangedEvent, self._onMode)
        for interactor, viewNode in sliceViews():
            for name in _EVENTS:
                tag = interactor.AddObserver(name, self._handler(viewNode), _BEFORE_THE_VIEW)
                self._tags.append((interactor, tag, name))

    def close(self) -> None:
        """The left button belongs to the views again."""
        self.removeObservers()
        for interactor, tag, _name in self._tags:
            interactor.RemoveObserver(tag)
        self._tags, self._onEnded = [], None

    def _handler(self, viewNode) -> Callable:
        return lambda interactor, event: self._onEvent(interactor, event, viewNode)

    def _onEvent(self, interactor, event: str, viewNode) -> None:
        if self._drawing.process(interactor, vtk.vtkCommand.GetEventIdFromString(event), viewNode):
            for other, tag, name in self._tags:
                if other is interactor and name == event:
                    interactor.GetCommand(tag).AbortFlagOn()

    def _onMode(self, interaction, _event=None) -> None:
        if interaction.GetCurrentInteractionMode() == interaction.Place:
            qt.QTimer.singleShot(0, lambda: self._onEnded() if self._onEnded is not None else None)
