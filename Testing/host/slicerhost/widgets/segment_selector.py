"""Stand-in for Slicer's segment selector: a segmentation node and one of its segments."""

# ruff: noqa: N801 - the names of the real classes

from PySide6 import QtCore, QtWidgets

from .mrml_widgets import VTK_OBJECT, qMRMLNodeComboBox
from .stored_property import stored_property
from .widget_observation import WidgetObservation


class qMRMLSegmentSelectorWidget(QtWidgets.QWidget):
    currentNodeChanged = QtCore.Signal(VTK_OBJECT)
    currentSegmentChanged = QtCore.Signal(str)
    noneEnabled = stored_property(bool, "noneEnabled", False)
    segmentationNodeSelectorVisible = QtCore.Property(
        bool,
        lambda self: not self._nodeComboBox.isHidden(),
        lambda self, visible: self._nodeComboBox.setVisible(visible),
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._segmentID = ""
        self._observation = None
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._nodeComboBox = qMRMLNodeComboBox(self)
        self._nodeComboBox.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodeComboBox.noneEnabled = True
        self._nodeComboBox.currentNodeChanged.connect(self._onNodeChanged)
        self._segmentComboBox = QtWidgets.QComboBox(self)
        self._segmentComboBox.activated.connect(lambda index: self.setCurrentSegmentID(self._segmentComboBox.itemData(index)))
        layout.addWidget(self._nodeComboBox)
        layout.addWidget(self._segmentComboBox)

    def mrmlScene(self):
        return self._nodeComboBox.mrmlScene()

    def setMRMLScene(self, scene):
        self._nodeComboBox.setMRMLScene(scene)

    def currentNode(self):
        return self._nodeComboBox.currentNode()

    def currentNodeID(self):
        return self._nodeComboBox.currentNodeID

    def setCurrentNode(self, node):
        self._nodeComboBox.setCurrentNode(node)

    def setCurrentNodeID(self, nodeID):
        self._nodeComboBox.setCurrentNodeID(nodeID)

    def currentSegmentID(self):
        return self._segmentID

    def setCurrentSegmentID(self, segmentID):
        changed = segmentID != self._segmentID
        self._segmentID = segmentID
        self._segmentComboBox.setCurrentIndex(self._segmentComboBox.findData(segmentID))
        if changed:
            self.currentSegmentChanged.emit(segmentID)

    def _onNodeChanged(self, node):
        if self._observation:
            self._observation.stop()
            self._observation = None
        if node:
            segmentation = node.GetSegmentation()
            events = (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified)
            self._observation = WidgetObservation(self, segmentation, events, "_updateSegments")
        self._updateSegments()
        self.currentNodeChanged.emit(node)

    def _updateSegments(self):
        node = self.currentNode()
        segmentation = node.GetSegmentation() if node else None
        segment_ids = list(segmentation.GetSegmentIDs()) if segmentation else []
        self._segmentComboBox.clear()
        for segment_id in segment_ids:
            self._segmentComboBox.addItem(segmentation.GetSegment(segment_id).GetName(), segment_id)
        if self._segmentID in segment_ids:
            self.setCurrentSegmentID(self._segmentID)
        else:
            self.setCurrentSegmentID(segment_ids[0] if segment_ids and not self.noneEnabled else "")
