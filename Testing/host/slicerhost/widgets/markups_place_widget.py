"""Stand-in for Slicer's place widget."""

# ruff: noqa: N801 - the names of the real classes

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..views.placing import active_place_node
from .mrml_widgets import VTK_OBJECT
from .widget_observation import WidgetObservation


def _interaction():
    return slicer.app.applicationLogic().GetInteractionNode()


class qSlicerMarkupsPlaceWidget(QtWidgets.QWidget):
    """Follows Slicer's one interaction node, whoever changes it; persistency is a setting of that node and written at once."""

    activeMarkupsFiducialNodeChanged = QtCore.Signal(VTK_OBJECT)
    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self._node = None
        self._observations = []
        self._wasPlacing = False

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        for observation in self._observations:
            observation.stop()
        self._scene = scene
        watched = (_interaction(), slicer.app.applicationLogic().GetSelectionNode()) if scene else ()
        self._observations = [WidgetObservation(self, node, (vtk.vtkCommand.ModifiedEvent,), "_update") for node in watched]
        self._update()

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        self._node = node
        self._update()

    def setPlaceModePersistency(self, persistent):
        _interaction().SetPlaceModePersistence(bool(persistent))

    placeModePersistency = QtCore.Property(
        bool, lambda self: bool(_interaction().GetPlaceModePersistence()), setPlaceModePersistency
    )

    def currentNodeActive(self):
        return self._node is not None and active_place_node() is self._node

    def setPlaceModeEnabled(self, enabled):
        if self._node is None or self._scene is None:
            return
        if enabled and not self.currentNodeActive():
            slicer.modules.markups.logic().SetActiveList(self._node)
        _interaction().SetCurrentInteractionMode(_interaction().Place if enabled else _interaction().ViewTransform)

    def _isPlacing(self):
        return self.currentNodeActive() and _interaction().GetCurrentInteractionMode() == _interaction().Place

    placeModeEnabled = QtCore.Property(bool, _isPlacing, setPlaceModeEnabled)

    def _update(self):
        isPlacing = self._isPlacing()
        if isPlacing != self._wasPlacing:
            self._wasPlacing = isPlacing
            self.activeMarkupsPlaceModeChanged.emit(isPlacing)
