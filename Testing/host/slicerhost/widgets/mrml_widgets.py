"""Stand-ins for the panel's root widgets and for the node selector of Slicer."""

# ruff: noqa: N801 - the names of the real classes

from PySide6 import QtCore, QtWidgets

from .stored_property import setter, stored_property
from .widget_observation import WidgetObservation

VTK_OBJECT = "QVariant"  # stands for vtkMRMLNode*, vtkMRMLScene* in signals


class qMRMLWidget(QtWidgets.QWidget):
    """Root of a panel. setMRMLScene reaches the widgets that the .ui connects to mrmlSceneChanged, and only those."""

    mrmlSceneChanged = QtCore.Signal(VTK_OBJECT)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qSlicerWidget(qMRMLWidget):
    """As qMRMLWidget."""


class SceneWidget(QtWidgets.QWidget):
    """Base of the widgets that show nodes: calls _refresh when nodes come or go."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self._observation = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if self._observation:
            self._observation.stop()
            self._observation = None
        self._scene = scene
        if scene:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            self._observation = WidgetObservation(self, scene, events, "_refresh")
        self._refresh()

    def _refresh(self):
        """To be extended: the nodes of the scene have changed."""


class qMRMLNodeComboBox(SceneWidget):
    currentNodeChanged = QtCore.Signal(VTK_OBJECT)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAddedByUser = QtCore.Signal(VTK_OBJECT)
    nodeTypes = QtCore.Property("QStringList", lambda self: self._nodeTypes, lambda self, types: self._setNodeTypes(types))
    showHidden = stored_property(bool, "showHidden", False)
    showChildNodeTypes = stored_property(bool, "showChildNodeTypes", True)
    noneEnabled = stored_property(bool, "noneEnabled", False)
    addEnabled = stored_property(bool, "addEnabled", True)
    removeEnabled = stored_property(bool, "removeEnabled", True)
    editEnabled = stored_property(bool, "editEnabled", False)
    renameEnabled = stored_property(bool, "renameEnabled", False)
    selectNodeUponCreation = stored_property(bool, "selectNodeUponCreation", True)
    baseName = stored_property(str, "baseName", "")
    noneDisplay = stored_property(str, "noneDisplay", "None")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = None
        self._nodeTypes = ()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._comboBox = QtWidgets.QComboBox(self)
        layout.addWidget(self._comboBox)
        self._comboBox.activated.connect(lambda index: self.setCurrentNodeID(self._comboBox.itemData(index)))

    def _setNodeTypes(self, nodeTypes):
        self._nodeTypes = tuple(nodeTypes)  # reads back as a tuple, as in PythonQt
        self._refresh()

    def _nodes(self):
        return [node for node in self._scene.GetNodes() if self._accepts(node)] if self._scene else []

    def _accepts(self, node):
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if self.showChildNodeTypes:
            return any(node.IsA(node_type) for node_type in self._nodeTypes)
        return node.GetClassName() in self._nodeTypes

    def _refresh(self):
        nodes = self._nodes()
        self._comboBox.blockSignals(True)
        self._comboBox.clear()
        if self.noneEnabled:
            self._comboBox.addItem(self.noneDisplay, "")
        for node in nodes:
            self._comboBox.addItem(node.GetName(), node.GetID())
        self._comboBox.blockSignals(False)
        # A node that was added is not selected by itself; a node that went leaves none.
        self._select(self._node if any(node is self._node for node in nodes) else None)

    def _select(self, node):
        changed = node is not self._node
        self._node = node
        self._comboBox.setCurrentIndex(self._comboBox.findData(node.GetID() if node else ""))
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        if node is None or any(candidate is node for candidate in self._nodes()):
            self._select(node)

    def setCurrentNodeID(self, nodeID):
        self.setCurrentNode(self._scene.GetNodeByID(nodeID) if nodeID and self._scene else None)

    currentNodeID = QtCore.Property(str, lambda self: self._node.GetID() if self._node else "", setCurrentNodeID)

    def addNode(self, nodeType=""):
        node = self._scene.AddNewNodeByClass(nodeType or self._nodeTypes[0], self.baseName)
        if self.selectNodeUponCreation:
            self._select(node)
        self.nodeAddedByUser.emit(node)
        return node

    setNodeTypes = setter("nodeTypes")
    setNoneEnabled = setter("noneEnabled")
    setAddEnabled = setter("addEnabled")
    setRemoveEnabled = setter("removeEnabled")
    setRenameEnabled = setter("renameEnabled")
    setBaseName = setter("baseName")
