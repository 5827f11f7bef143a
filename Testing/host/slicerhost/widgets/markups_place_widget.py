"""Stand-in for Slicer's place widget."""

# ruff: noqa: N801 - the names of the real classes

import slicer
from PySide6 import QtCore, QtWidgets

from ..views.placing import active_place_node, start_placing, stop_placing
from .mrml_widgets import VTK_OBJECT


class qSlicerMarkupsPlaceWidget(QtWidgets.QWidget):
    activeMarkupsFiducialNodeChanged = QtCore.Signal(VTK_OBJECT)
    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self._node = None
        self._persistent = False

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        self._node = node

    def setPlaceModePersistency(self, persistent):
        self._persistent = persistent

    def currentNodeActive(self):
        return self._node is not None and active_place_node() is self._node

    def setPlaceModeEnabled(self, enabled):
        if enabled and self._node is None:
            return
        if enabled:
            start_placing(self._node, self._persistent)
        else:
            stop_placing()
        self.activeMarkupsPlaceModeChanged.emit(self.placeModeEnabled)

    def _isPlacing(self):
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        return self.currentNodeActive() and interaction.GetCurrentInteractionMode() == interaction.Place

    placeModeEnabled = QtCore.Property(bool, _isPlacing, setPlaceModeEnabled)
