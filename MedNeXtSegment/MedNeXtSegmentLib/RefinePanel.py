"""The Refine tab: clicks and boxes in the slice views become edits of the chosen segment."""

from collections.abc import Callable

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.errors import Cancelled
from MedNeXtSegmentLib.RefineLogic import RefineLogic
from MedNeXtSegmentLib.RefineMarks import RefineMarks

_KEYS = {
    "pointPlusButton": "P",
    "pointMinusButton": "N",
    "boxButton": "B",
    "acceptButton": "A",
    "propagateButton": "G",
    "undoButton": "Z",
    "redoButton": "Y",
    "nextSegmentButton": "E",
}
_TOOLS = ("pointPlusButton", "pointMinusButton", "boxButton")


class RefinePanel(VTKObservationMixin):
    """Args:
    widget: loaded from RefinePanel.ui.
    logic: of refinement.
    whatIsMissing: says in one sentence why this computer cannot compute; empty where it can.
    """

    def __init__(self, widget, logic: RefineLogic, whatIsMissing: Callable[[], str]) -> None:
        VTKObservationMixin.__init__(self)
        self._logic, self._whatIsMissing = logic, whatIsMissing
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.session = None
        self.marks = RefineMarks()
        self._parameterNode = None
        self._guiTag = None
        self._segmentation = None
        self._tool = ""
        self._corner: np.ndarray | None = None
        self._isUpdating = self._isStarting = False
        self._placing = slicer.qSlicerMarkupsPlaceWidget()
        self._placing.setMRMLScene(slicer.mrmlScene)
        self._placing.setPlaceModePersistency(True)
        self._shortcuts = [self._shortcut(name, key) for name, key in _KEYS.items()]
        for name in _TOOLS:
            getattr(self.ui, name).toggled.connect(lambda checked, name=name: self._onTool(name, checked))
        self.ui.acceptButton.clicked.connect(lambda *_args: self._act(lambda session: session.accept()))
        self.ui.propagateButton.clicked.connect(lambda *_args: self._act(self._propagate))
        self.ui.undoButton.clicked.connect(lambda *_args: self._act(lambda session: session.undo()))
        self.ui.redoButton.clicked.connect(lambda *_args: self._act(lambda session: session.redo()))
        self.ui.nextSegmentButton.clicked.connect(lambda *_args: self._nextSegment())
        self.ui.segmentSelector.connect("currentIndexChanged(int)", self._onSegmentChosen)
        self.setActive(False)

    def setActive(self, isActive: bool) -> None:
        """Shortcuts and tools live only while the tab is in front and the module is open."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(isActive)
        if isActive:
            self.update()
        else:
            self._stopTool()

    def close(self) -> None:
        """Let go of the scene."""
        self.setActive(False)
        self.setParameterNode(None)

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters; None unbinds them and ends the session."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._parameterNode = parameterNode
        if parameterNode is None:
            self._stopTool()
            self._endSession()
            self._observeSegmentation(None)
            self.marks.removeNodes()
        else:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self.update()

    def update(self) -> None:
        """Show what there is, and enable what can be done."""
        if self._isUpdating:
            return
        self._isUpdating = True
        parameters = self._parameterNode
        self._observeSegmentation(parameters.outputSegmentation if parameters is not None else None)
        self._fillSegments()
        session = self.session
        if session is not None and (session.isClosed or not self._isForChoice(session)):
            self._endSession()
            session = None
        missing = self._missing()
        for name in (*_TOOLS, "acceptButton", "propagateButton"):
            getattr(self.ui, name).enabled = not missing
        hasSlice = session is not None and session.activePlane is not None
        self.ui.acceptButton.enabled = hasSlice
        self.ui.propagateButton.enabled = hasSlice
        self.ui.undoButton.enabled = session is not None and session.canUndo
        self.ui.redoButton.enabled = session is not None and session.canRedo
        self.ui.nextSegmentButton.enabled = self.ui.segmentSelector.count > 1
        self.marks.show(session)
        self._isUpdating = False
        if missing:
            self._stopTool()
            self._showStatus(missing)

    def _shortcut(self, name: str, key: str):
        """A key for a button; it says so in its text. It must work while the mouse is in a view, so it belongs to the window."""
        button = getattr(self.ui, name)
        button.setText(f"{button.text} ({key})")
        shortcut = qt.QShortcut(slicer.util.mainWindow() or button)
        shortcut.setKey(qt.QKeySequence(key))
        shortcut.setContext(qt.Qt.ApplicationShortcut)
        shortcut.activated.connect(lambda *_args: button.click())
        return shortcut

    def _missing(self) -> str:
        parameters = self._parameterNode
        if parameters is None or parameters.inputVolume is None:
            return _("Choose a volume.")
        if parameters.outputSegmentation is None:
            return _("Choose a segmentation; the Segment tab or the Segment Editor makes one.")
        if not self._segmentId():
            return _("The segmentation has no segment; add one in the Segment Editor.")
        return self._whatIsMissing()

    def _segmentId(self) -> str:
        return self.ui.segmentSelector.itemData(self.ui.segmentSelector.currentIndex) or ""

    def _isForChoice(self, session) -> bool:
        parameters = self._parameterNode
        chosen = None if parameters is None else (parameters.inputVolume, parameters.outputSegmentation)
        return chosen == (session.volumeNode, session.segmentationNode) and session.segmentId == self._segmentId()

    def _fillSegments(self) -> None:
        """The list of segments, with the choice kept where its segment still is."""
        chosen, selector = self._segmentId(), self.ui.segmentSelector
        segmentation = self._segmentation
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())] if segmentation else []
        names = [segmentation.GetSegment(segmentId).GetName() for segmentId in ids]
        if [(selector.itemText(n), selector.itemData(n)) for n in range(selector.count)] == list(zip(names, ids, strict=True)):
            return
        selector.clear()
        for name, segmentId in zip(names, ids, strict=True):
            selector.addItem(name, segmentId)
        selector.setCurrentIndex(max(0, ids.index(chosen)) if chosen in ids else 0)

    def _observeSegmentation(self, node) -> None:
        segmentation = None if node is None else node.GetSegmentation()
        if segmentation is self._segmentation:
            return
        events = slicer.vtkSegmentation
        for event in (events.SegmentAdded, events.SegmentRemoved, events.SegmentModified):
            if self._segmentation is not None:
                self.removeObserver(self._segmentation, event, self._onParametersChanged)
            if segmentation is not None:
                self.addObserver(segmentation, event, self._onParametersChanged)
        self._segmentation = segmentation

    def _onTool(self, name: str, isChecked: bool) -> None:
        if not isChecked:
            if self._tool == name:
                self._stopTool()
            return
        self._stopTool()
        self._tool = name
        getattr(self.ui, name).checked = True
        self.marks.makeNodes()
        self.marks.setColor(name != "pointMinusButton")
        node = self.marks.placingNode
        self.addObserver(node, node.PointPositionDefinedEvent, self._onPointDefined)
        self._placing.setCurrentNode(node)
        self._placing.setPlaceModeEnabled(True)
        self._showStatus(
            _("Click two opposite corners of the box in a slice view.") if name == "boxButton" else _("Click in a slice view.")
        )

    def _stopTool(self) -> None:
        """Back to moving the views."""
        if not self._tool:
            return
        name, self._tool, self._corner = self._tool, "", None
        node = self.marks.placingNode
        if node is not None:
            self.removeObserver(node, node.PointPositionDefinedEvent, self._onPointDefined)
            self._placing.setPlaceModeEnabled(False)
            node.RemoveAllControlPoints()
        getattr(self.ui, name).checked = False

    def _onPointDefined(self, node, _event=None) -> None:
        """Keep what was clicked; what follows from it waits for the event loop, because the view is still at work."""
        number = node.GetNumberOfDefinedControlPoints() - 1
        point = np.zeros(3)
        node.GetNthControlPointPositionWorld(number, point)
        tool, view = self._tool, _sliceNodeUnderMouse()
        qt.QTimer.singleShot(0, lambda: self._onClick(tool, point, view))

    def _onClick(self, tool: str, pointRAS: np.ndarray, view) -> None:
        node = self.marks.placingNode
        isFirstCorner = tool == "boxButton" and self._corner is None and view is not None
        if node is not None and not isFirstCorner:
            node.RemoveAllControlPoints()
        if view is None:
            self._showStatus(_("Click in a slice view, not in the 3D view."))
        elif isFirstCorner:
            self._corner = pointRAS
            self._showStatus(_("Click the opposite corner."))
        elif tool == "boxButton":
            corners, self._corner = np.stack([self._corner, pointRAS]), None
            self._act(lambda session: session.addBox(corners, view))
        else:
            self._act(lambda session: session.addPoint(pointRAS, tool == "pointPlusButton", view))

    def _act(self, action: Callable) -> None:
        """Do something in the session of the chosen segment, started where there is none; errors become the status line."""
        try:
            if self.session is None:
                self._startSession()
            if self.session is not None:
                self._showStatus("")
                action(self.session)
        except (ValueError, RuntimeError, Cancelled) as error:
            self._showStatus(str(error))
        self.update()

    def _startSession(self) -> None:
        if self._isStarting:  # a further click while the network is loaded
            return
        self._isStarting = True
        self._showStatus(_("Loading the network..."))
        parameters = self._parameterNode
        try:
            self.session = self._logic.startRefinement(
                parameters.inputVolume, parameters.outputSegmentation, self._segmentId(), onChanged=self.update
            )
        finally:
            self._isStarting = False

    def _propagate(self, session) -> None:
        count = self.ui.slicesSpinBox.value
        ahead, back = session.propagate(count, count)
        text = _("Preview in yellow; Accept writes it. Ahead: {ahead}. Back: {back}.")
        self._showStatus(text.format(ahead=ahead, back=back))

    def _nextSegment(self) -> None:
        selector = self.ui.segmentSelector
        if selector.count:
            selector.setCurrentIndex((selector.currentIndex + 1) % selector.count)

    def _onSegmentChosen(self, *_args) -> None:
        self._corner = None
        self.update()

    def _endSession(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            self._logic.endSession(session)

    def _showStatus(self, text: str) -> None:
        self.ui.refineStatusLabel.setText(text)

    def _onParametersChanged(self, _caller=None, _event=None) -> None:
        self.update()


def _sliceNodeUnderMouse():
    """The vtkMRMLSliceNode of the view that the mouse is in; None for another kind of view."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    return None if crosshair is None else crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
