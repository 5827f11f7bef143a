"""The Evaluate tab: two segmentations, which segments belong together, the numbers, and the way to the errors."""

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Evaluate.ConfusionTable import ConfusionTable
from MedNeXtSegmentLib.Evaluate.EvaluateLogic import EvaluateLogic, newErrorMap, writeErrorMap
from MedNeXtSegmentLib.Evaluate.EvaluateRun import EvaluateRun, StructureResult
from MedNeXtSegmentLib.Evaluate.PairsTable import PairsTable
from MedNeXtSegmentLib.Evaluate.ScoresTable import ScoresTable
from MedNeXtSegmentLib.Evaluate.SegmentPairs import segmentNames
from MedNeXtSegmentLib.Scene.SliceViews import jumpSlicesTo
from MedNeXtSegmentLib.Widgets.FileDialogs import csvPath
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel
from MedNeXtSegmentLib.Widgets.ProgressRow import ProgressRow


class EvaluatePanel(NodePanel):
    """Shows the Evaluate tab and starts its comparisons.

    Args:
        widget: loaded from Evaluate.ui.
        logic: compares.
        whatIsMissing: says in one sentence why this computer cannot compute; empty where it can.
    """

    def __init__(self, widget, logic: EvaluateLogic, whatIsMissing: Callable[[], str]) -> None:
        super().__init__(slicer.util.childWidgetVariables(widget))
        self._whatIsMissing = whatIsMissing
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = logic
        self.pairs = PairsTable(self.ui.pairsTable, self.update)
        self.results = ScoresTable(self.ui.resultsTable, self.lookAt)
        self.confusion = ConfusionTable(self.ui.confusionTable)
        self.run: EvaluateRun | None = None
        self.errorMapNode = None
        self._finishedRun: EvaluateRun | None = None
        self._matched: tuple = ()
        toolTips = _("Measure every matched segment."), _("Stop; nothing is shown.")
        self.progress = ProgressRow(self.ui.evaluateButton, self.ui.progressBar, *toolTips, self.evaluate, self._onStop)
        self.ui.matchButton.clicked.connect(lambda *_args: self._match())
        self.ui.exportButton.clicked.connect(lambda *_args: self._export())

    def close(self) -> None:
        """Let go of the scene and end what runs."""
        self.setParameterNode(None)
        if self.run is not None:
            self.logic.abandon(self.run)

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters; None unbinds them, and what was shown of another scene goes."""
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            self.errorMapNode = None
            self._show(None)
            self.pairs.match(None, None)
            self._matched = ()
            return
        self.update()

    def update(self) -> None:
        """Match anew where other segments are there, and enable what can be done."""
        if self._parameterNode is None:
            return
        parameters = self._parameterNode
        nodes = parameters.evaluateReference, parameters.evaluateTest
        state = tuple((node and node.GetID(), tuple(segmentNames(node).items())) for node in nodes)
        if state != self._matched:
            self._matched = state
            if self._finishedRun is not None and nodes != (self._finishedRun.referenceNode, self._finishedRun.testNode):
                self._show(None)
            self._match()
            return
        self.progress.setRunning(self.run is not None)
        self.progress.setReady(self._missing())
        self.ui.exportButton.enabled = self._finishedRun is not None

    def evaluate(self) -> None:
        """Start comparing what is matched."""
        parameters = self._parameterNode
        self._show(None)
        try:
            self.run = self.logic.evaluate(
                parameters.evaluateReference, parameters.evaluateTest, self.pairs.pairs(), self._onProgress, self._onFinished
            )
            self._showStatus(_("Evaluating..."))
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
        self.update()

    def lookAt(self, result: StructureResult) -> None:
        """Bring the largest error of a structure into the slice views, with its error map."""
        volumeNode = self._parameterNode.evaluateVolume
        if volumeNode is not None:
            slicer.util.setSliceViewerLayers(background=volumeNode)
        if self._parameterNode.showErrorMap:
            self._showErrorMap(result)
        if result.largestErrorRAS is None:
            self._showStatus(_("{name}: nothing differs.").format(name=result.pair.name))
            return
        jumpSlicesTo(result.largestErrorRAS)
        r, a, s = result.largestErrorRAS
        text = _("{name}: largest error at R {r:.1f}, A {a:.1f}, S {s:.1f} mm.")
        self._showStatus(text.format(name=result.pair.name, r=r, a=a, s=s))

    def _showErrorMap(self, result: StructureResult) -> None:
        if self._finishedRun is None:
            return
        if self.errorMapNode is None or not slicer.mrmlScene.IsNodePresent(self.errorMapNode):
            self.errorMapNode = newErrorMap(self._finishedRun, self._parameterNode.evaluateVolume)
        with slicer.util.tryWithErrorDisplay(_("The error map could not be made.")):
            writeErrorMap(result, self.errorMapNode)

    def _show(self, run: EvaluateRun | None) -> None:
        """Fill the tables; None empties them."""
        self._finishedRun = run
        self.results.show(run)
        self.confusion.show(run)

    def _match(self) -> None:
        parameters = self._parameterNode
        self._showStatus(self.pairs.match(parameters.evaluateReference, parameters.evaluateTest))
        self.update()

    def _onStop(self) -> None:
        self.logic.abandon(self.run)

    def _onProgress(self, run: EvaluateRun) -> None:
        self.progress.show(run.fraction)

    def _onFinished(self, run: EvaluateRun) -> None:
        self.run = None
        if run.error is not None:
            self._showStatus(str(run.error))
        elif self._parameterNode is not None:
            self.errorMapNode = None
            self._show(run)
            self._showStatus(
                _("{count} segments compared; click a row to see its largest error.").format(count=len(run.results))
            )
        self.update()

    def _missing(self) -> str:
        """What is missing before Evaluate can be pressed, in one sentence; empty where nothing is."""
        parameters = self._parameterNode
        if parameters.evaluateReference is None or parameters.evaluateTest is None:
            return _("Choose a reference and a test segmentation.")
        if parameters.evaluateReference is parameters.evaluateTest:
            return _("Reference and test are the same segmentation; choose two.")
        if not any(pair.testIds for pair in self.pairs.pairs()):
            return _("No segment of the reference has a test segment; match at least one.")
        return self._whatIsMissing()

    def _export(self) -> None:
        path = csvPath(self.ui.exportButton.window())
        if path:
            with slicer.util.tryWithErrorDisplay(_("The table could not be saved.")):
                self._finishedRun.exportCsv(path)

    def _showStatus(self, text: str) -> None:
        self.ui.statusLabel.setText(text)
