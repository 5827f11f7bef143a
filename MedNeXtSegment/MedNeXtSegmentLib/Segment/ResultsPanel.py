"""Section "Results": volumes of the last run, undo and redo, 3D, and the way on to the Segment Editor."""

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Segment.ResultsTable import ResultsTable
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Widgets.FileDialogs import csvPath


class ResultsPanel:
    """Shows what the last run gave, and the buttons that work on it.

    Args:
        ui: widgets of Segment.ui.
        history: of the module's edits.
    """

    def __init__(self, ui, history: EditHistory) -> None:
        self._ui, self._history = ui, history
        self._parameterNode = None
        self._run: SegmentRun | None = None
        self.table = ResultsTable(ui.resultsTable)
        ui.undoButton.clicked.connect(lambda *_args: self._step(self._history.undo))
        ui.redoButton.clicked.connect(lambda *_args: self._step(self._history.redo))
        ui.exportButton.clicked.connect(lambda *_args: self._export())
        ui.segmentEditorButton.clicked.connect(lambda *_args: self._openInSegmentEditor())
        ui.show3DCheckBox.toggled.connect(lambda *_args: self.showIn3D())

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; the table of another scene goes."""
        self._parameterNode = parameterNode
        if parameterNode is None:
            self._run = None
            self.table.show(None, [], {})

    def show(self, run: SegmentRun) -> None:
        """Show a finished run."""
        self._run = run
        self._showIn3D(run.segmentationNode)
        self._fillTable()

    def update(self) -> None:
        """Enable the buttons that can do something."""
        node = self._node()
        self._ui.undoButton.enabled = self._history.canUndo(node)
        self._ui.redoButton.enabled = self._history.canRedo(node)
        self._ui.exportButton.enabled = not self.table.isEmpty
        self._ui.segmentEditorButton.enabled = node is not None

    def showIn3D(self) -> None:
        """Make or remove the surfaces of the output, as the check box says."""
        self._showIn3D(self._node())

    def _showIn3D(self, node) -> None:
        if node is None or node.GetSegmentation().GetNumberOfSegments() == 0:
            return
        isShown = node.GetSegmentation().ContainsRepresentation("Closed surface")
        if self._ui.show3DCheckBox.checked and not isShown:
            node.CreateClosedSurfaceRepresentation()
        elif not self._ui.show3DCheckBox.checked and isShown:
            node.RemoveClosedSurfaceRepresentation()

    def _node(self):
        return self._parameterNode.outputSegmentation if self._parameterNode is not None else None

    def _fillTable(self) -> None:
        self.table.show(self._run.segmentationNode, self._run.labels, self._run.card.totals)

    def _step(self, step) -> None:
        node = self._node()
        if node is None:
            return
        with slicer.util.tryWithErrorDisplay(_("Nothing was changed.")):
            note = step(node)
            if note:
                slicer.util.infoDisplay(note)
        if self._run is not None and self._run.segmentationNode is node:
            self._fillTable()
        self.update()

    def _export(self) -> None:
        path = csvPath(self._ui.exportButton.window())
        if path:
            with slicer.util.tryWithErrorDisplay(_("The table could not be saved.")):
                self.table.exportCsv(path)

    def _openInSegmentEditor(self) -> None:
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(self._node())
        editor.setSourceVolumeNode(self._parameterNode.inputVolume)
