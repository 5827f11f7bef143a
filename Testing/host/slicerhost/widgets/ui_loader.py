"""QUiLoader that makes the stand-in widgets and honors the .ui file's scene connections."""

from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .ui_classes import UI_CLASSES

_SCENE_SIGNAL = "mrmlSceneChanged"
_FOREIGN_PREFIXES = ("ctk", "qMRML", "qSlicer")


class UiLoader(QtUiTools.QUiLoader):
    """Published as qt.QUiLoader.

    A widget learns of the scene only when the .ui connects it to the root's mrmlSceneChanged(vtkMRMLScene*): a forgotten
    connection fails here as it does in Slicer.
    """

    def createWidget(self, className, parent=None, name=""):
        if className in UI_CLASSES:
            widget = UI_CLASSES[className](parent)
            widget.setObjectName(name)
            return widget
        if className.startswith(_FOREIGN_PREFIXES):
            raise NotImplementedError(f"The host has no stand-in for {className} (widget {name}).")
        return super().createWidget(className, parent, name)

    def load(self, device, parentWidget=None):
        tree = ElementTree.fromstring(device.readAll().data().decode())
        self._refuse_unknown_classes(tree)
        receivers = self._take_scene_receivers(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        root = super().load(buffer, parentWidget)
        for receiver in receivers:
            widget = root.findChild(QtWidgets.QWidget, receiver)
            if widget is None:
                raise RuntimeError(f"The .ui connects {_SCENE_SIGNAL} to {receiver}, which it does not contain.")
            root.mrmlSceneChanged.connect(widget.setMRMLScene)
        return root

    @staticmethod
    def _refuse_unknown_classes(tree) -> None:
        # An exception inside createWidget, which Qt calls, would only be printed.
        for element in tree.iter("widget"):
            class_name = element.get("class")
            if class_name.startswith(_FOREIGN_PREFIXES) and class_name not in UI_CLASSES:
                raise NotImplementedError(f"The host has no stand-in for {class_name} (widget {element.get('name')}).")

    @staticmethod
    def _take_scene_receivers(tree) -> list[str]:
        """Names of the widgets connected to the scene; the connections leave the tree, PySide6 cannot pass vtk pointers."""
        receivers = []
        for connections in tree.findall("connections"):
            for connection in list(connections):
                if connection.findtext("signal", "").startswith(_SCENE_SIGNAL):
                    receivers.append(connection.findtext("receiver"))
                    connections.remove(connection)
        return receivers
