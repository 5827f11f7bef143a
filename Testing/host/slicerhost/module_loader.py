"""Stand-in for a scripted module as Slicer's application holds it. Without Qt, as long as nobody asks for its panel."""

# ruff: noqa: N801 - the names of the real classes

import importlib.util
import os
import sys

import slicer

from .application import Module, require_qt


class qSlicerScriptedLoadableModule(Module):
    """A scripted module: loads its file, offers its panel. Module code sees it as `parent` and as slicer.modules.<name>."""

    # What a module's __init__ may set on its parent; anything else raises, as PythonQt does.
    __slots__ = (
        "_pythonModule",
        "_widget",
        "acknowledgementText",
        "associatedNodeTypes",
        "categories",
        "contributors",
        "dependencies",
        "helpText",
        "hidden",
        "icon",
        "index",
        "title",
        "widgetRepresentationCreationEnabled",
    )

    def __init__(self, path: str):
        super().__init__(os.path.splitext(os.path.basename(path))[0], path=os.path.abspath(path))
        self._widget = None
        self._pythonModule = None

    def load(self):
        """Import the file and create its module class."""
        folder = os.path.dirname(self.path)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        python_file = importlib.util.module_from_spec(spec)
        sys.modules[self.name] = python_file
        spec.loader.exec_module(python_file)
        self._pythonModule = getattr(python_file, self.name)(self)

    def widgetRepresentation(self):
        """The panel (qSlicerScriptedLoadableModuleWidget), created and set up on the first call."""
        if self._widget is None:
            require_qt("The panel of a module")
            from .widgets.module_widget import qSlicerScriptedLoadableModuleWidget

            widget = qSlicerScriptedLoadableModuleWidget(self.name)
            widget.setup()
            widget.setMRMLScene(slicer.mrmlScene)
            self._widget = widget
        return self._widget

    def unload(self) -> None:
        """What Slicer does when the application ends: exit the panel, let it clean up, delete it, forget the module."""
        if self._widget is not None:
            self._widget.leave()
        slicer.app.moduleManager().remove(self)  # tells the Python widget, which then calls its cleanup()
        vars(slicer.modules).pop(f"{self.name}Widget", None)
        if self._widget is not None:
            self._widget.deleteLater()
            self._widget = None
        sys.modules.pop(self.name, None)
