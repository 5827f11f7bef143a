"""The panel of the automatic run: its sections, what each change of a parameter means for them, and what Apply does."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from mednextseg.worker import protocol
from MedNeXtSegmentLib.ParameterNode import labelNamesOf, recipeOf
from MedNeXtSegmentLib.Scene.Segmentations import otherGridNotice
from MedNeXtSegmentLib.Segment.AdvancedPanel import AdvancedPanel
from MedNeXtSegmentLib.Segment.BudgetPanel import BudgetPanel
from MedNeXtSegmentLib.Segment.CostPanel import CostPanel
from MedNeXtSegmentLib.Segment.InputsPanel import MAXIMUM_CHANNELS, InputsPanel
from MedNeXtSegmentLib.Segment.ModelPanel import ModelPanel
from MedNeXtSegmentLib.Segment.ResultsPanel import ResultsPanel
from MedNeXtSegmentLib.Segment.RunPanel import RunPanel, phaseText
from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel
from MedNeXtSegmentLib.Widgets.Texts import durationText


class SegmentPanel(NodePanel):
    """Shows the Segment tab and starts automatic runs.

    Args:
        widget: loaded from Segment.ui.
        logic: MedNeXtSegmentLogic.
        whatIsMissing: says in one sentence why this computer cannot run a network; empty where it can.
    """

    def __init__(self, widget, logic, whatIsMissing: Callable[[], str]) -> None:
        super().__init__(slicer.util.childWidgetVariables(widget))
        self._widget, self._logic, self._whatIsMissing = widget, logic, whatIsMissing
        widget.setMRMLScene(slicer.mrmlScene)
        self.inputs = InputsPanel(self.ui, logic.autoSegment)
        self.model = ModelPanel(self.ui, logic.models, self.update)
        self.advanced = AdvancedPanel(self.ui)
        self.runPanel = RunPanel(self.ui, self.apply, self.cancel)
        self.results = ResultsPanel(self.ui, logic.history)
        self.budget = BudgetPanel(self.ui, self.showSkipped)
        self.cost = CostPanel(self.ui.costLabel, logic.worker, self.budget.showPlan)
        self.run: SegmentRun | None = None
        self._lastRun: SegmentRun | None = None
        self._seenVolume = None
        self._seenModel = ""
        self._statusIsOf: tuple = ()
        self._isUpdating = False
        self._shortcut = qt.QShortcut(widget)
        self._shortcut.setKey(qt.QKeySequence("Ctrl+Return"))
        self._shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        self._shortcut.activated.connect(lambda *_args: self.ui.applyButton.click())
        self._shortcut.setEnabled(False)

    def enter(self) -> None:
        """The module was opened: models may have been installed meanwhile; shortcuts live from now on."""
        self._shortcut.setEnabled(True)
        self.reloadModels()

    def reloadModels(self) -> None:
        """Models were installed or removed, or may have been."""
        self.model.reload()
        self.inputs.checkAgain()
        self.update()

    def exit(self) -> None:
        """Another module was opened; a run goes on."""
        self._shortcut.setEnabled(False)

    def close(self) -> None:
        """Let go of the scene."""
        self.cost.close()
        self.setParameterNode(None)

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters; None unbinds them."""
        self._seenVolume = parameterNode.inputVolume if parameterNode is not None else None
        self._seenModel = parameterNode.modelId if parameterNode is not None else ""
        for section in (self.inputs, self.advanced, self.results, self.model):
            section.setParameterNode(parameterNode)
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            return
        if parameterNode.inputVolume is None:
            parameterNode.inputVolume = self._firstVolume()
        self.update()

    def update(self) -> None:
        """Let every section show what the parameters say."""
        if self._parameterNode is None or self._isUpdating:
            return
        self._isUpdating = True
        card = self.model.card
        isOtherVolume = self._followChoices(card)
        if self._statusIsOf and self._parameterNode.inputVolume is not None and self._statusIsOf != self._choices():
            self._statusIsOf = ()
            self.runPanel.showStatus("")
            self._showLast(None)
        if isOtherVolume and not self.runPanel.isRunning:
            self._sayOfGrid()
        self.model.update()
        self.inputs.update(card)
        self.advanced.update(card)
        self.results.update()
        if card is None or not self.runPanel.isRunning:
            self.cost.update(self.job())
        isSlow = self.advanced.computesOnProcessor
        self.ui.deviceBannerLabel.setVisible(isSlow)
        self.ui.deviceBannerLabel.setText(
            "\u26a0 " + _("No graphics card is used: on the processor, a run can take minutes.") if isSlow else ""
        )
        self.runPanel.setReady(self._missing())
        self._isUpdating = False

    def apply(self) -> None:
        """Start a run with the parameters."""
        self.runPanel.setRunning(True)
        self.runPanel.showStatus(_("Starting..."))
        self._showLast(None)
        try:
            self.run = self._logic.autoSegment.segment(self.job(), self._onProgress, self._onFinished)
        except (ValueError, RuntimeError) as error:
            self._showEnd(str(error))
        if self.run is not None and self.run.isFinished:
            self.run = None

    def cancel(self) -> None:
        """Stop the run."""
        if self.run is not None:
            self.run.cancel()

    def showSkipped(self) -> None:
        """Show what the last run did not look at."""
        if self._lastRun is not None:
            with slicer.util.tryWithErrorDisplay(_("The skipped windows cannot be shown.")):
                self._logic.autoSegment.showSkipMap(self._lastRun)

    def _showLast(self, run: SegmentRun | None) -> None:
        self._lastRun = run
        self.budget.showRun(run)

    def _onProgress(self, run: SegmentRun) -> None:
        self.runPanel.showProgress(run.progress)

    def _onFinished(self, run: SegmentRun) -> None:
        self.run = None
        if run.error is not None:
            if run.error.code != protocol.CANCELLED:
                self.runPanel.appendLog(str(run.error))
            self._showEnd(str(run.error))
            return
        notes = [*run.report.get("warnings", []), *run.report.get("notes", [])]
        seconds = sum(run.report["seconds_by_phase"].values())
        done = _("Done in {duration} on {device}.").format(duration=durationText(seconds), device=run.report["device"])
        for line in (*notes, done):
            self.runPanel.appendLog(line)
        self._chooseOutput(run)
        self.results.show(run)
        self._showLast(run)
        self.cost.learn(run)
        phases = "\n".join(f"{phaseText(name)}: {spent:.1f} s" for name, spent in run.report["seconds_by_phase"].items())
        self._showEnd(" ".join([done, *run.report.get("notes", [])]), phases)

    def _chooseOutput(self, run: SegmentRun) -> None:
        """Choose what a run made, unless the user has gone on to something else meanwhile."""
        parameters, job = self._parameterNode, run.job
        if parameters is None or parameters.inputVolume is not run.volumeNode:
            return
        if parameters.outputSegmentation is job.segmentationNode:
            parameters.outputSegmentation = run.segmentationNode

    def _showEnd(self, text: str, toolTip: str = "") -> None:
        self.runPanel.setRunning(False)
        self.runPanel.showStatus(text, toolTip)
        self._statusIsOf = self._choices()
        self.update()

    def _choices(self) -> tuple:
        """What a status line at the end of a run is about."""
        parameters = self._parameterNode
        if parameters is None:
            return ()
        return (parameters.inputVolume, parameters.modelId, parameters.roi, parameters.outputSegmentation)

    def _sayOfGrid(self) -> None:
        """The segmentation stays chosen with another volume, which may be another patient's."""
        volume, output = self._parameterNode.inputVolume, self._parameterNode.outputSegmentation
        notice = otherGridNotice(output, volume) if volume is not None and output is not None else ""
        if notice:
            self.runPanel.showStatus(notice)
            self._statusIsOf = self._choices()

    def job(self) -> SegmentJob | None:
        """What Apply would start; None where no model is chosen. Channels that are not chosen are None in it."""
        parameters, card = self._parameterNode, self.model.card
        if card is None:
            return None
        return SegmentJob(
            tuple(self.inputs.volumeNodes(card)),
            model=card.id,
            roiNode=parameters.roi,
            labels=labelNamesOf(parameters),
            recipe=recipeOf(parameters, [label.name for label in card.labels]),
            segmentationNode=parameters.outputSegmentation,
            device=parameters.device,
            isWhole=parameters.wholeVolume,
        )

    def _missing(self) -> str:
        """What is missing before Apply can be pressed, in one sentence; empty where nothing is."""
        card, problem = self.model.card, self._whatIsMissing()
        if problem:
            return problem
        if card is None:
            return _("Choose a model.")
        if len(card.channels) > MAXIMUM_CHANNELS:
            return _("This model needs {count} volumes; use the Python console.").format(count=len(card.channels))
        missing = [
            channel.name for channel, node in zip(card.channels, self.inputs.volumeNodes(card), strict=True) if node is None
        ]
        if missing:
            return _("Choose the input volume ({names}).").format(names=", ".join(missing))
        if self.model.noLabelIsChecked:
            return _("Check at least one segment.")
        return self.inputs.problem or self.advanced.problem

    def _followChoices(self, card) -> bool:
        """A new model gets its channels by name; says whether the volume is another one."""
        parameters = self._parameterNode
        isOtherVolume = parameters.inputVolume is not self._seenVolume
        if isOtherVolume:
            self._seenVolume = parameters.inputVolume
            parameters.wholeVolume = False  # insisted on for another volume
        if parameters.modelId != self._seenModel:
            self._seenModel = parameters.modelId
            parameters.wholeVolume = False
            if card is not None:
                self.inputs.fillByName(card)
        return isOtherVolume

    @staticmethod
    def _firstVolume():
        nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        shown = [node for node in nodes if not node.GetHideFromEditors() and not node.IsA("vtkMRMLLabelMapVolumeNode")]
        return shown[0] if shown else None
