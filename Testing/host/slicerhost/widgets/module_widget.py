"""Stand-in for the panel of a scripted module as Slicer's application holds it."""

# ruff: noqa: N801 - the names of the real classes

import sys

import slicer
from PySide6 import QtCore, QtWidgets

from .mrml_widgets import qSlicerWidget


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The panel's outer widget: makes the module's Python widget class and passes enter, exit and reload on."""

    def __init__(self, module_name: str, parent=None):
        super().__init__(parent)
        self._moduleName = module_name
        self._pythonWidget = None
        self._entered = False
        QtWidgets.QVBoxLayout(self)

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def setup(self):
        widget_class = getattr(sys.modules[self._moduleName], f"{self._moduleName}Widget")
        self._pythonWidget = widget_class(self)
        setattr(slicer.modules, f"{self._moduleName}Widget", self._pythonWidget)
        self._pythonWidget.setup()

    def self(self):
        return self._pythonWidget

    def reload(self):
        """As slicer.util.reloadScriptedModule calls it: a new Python widget in the same panel, which nobody enters."""
        self.setup()

    def enter(self):
        self._entered = True
        self._pythonWidget.enter()

    def exit(self):
        self._entered = False
        self._pythonWidget.exit()

    def leave(self):
        """Exit the panel if it is entered."""
        if self._entered:
            self.exit()
