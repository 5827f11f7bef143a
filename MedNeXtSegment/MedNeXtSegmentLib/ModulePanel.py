"""The whole panel: the Set-up section above, and one tab for each thing the module does."""

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Adapt.AdaptPanel import AdaptPanel
from MedNeXtSegmentLib.Evaluate.EvaluatePanel import EvaluatePanel
from MedNeXtSegmentLib.Models.ModelsPanel import ModelsPanel
from MedNeXtSegmentLib.ParameterNode import inputVolumesOf
from MedNeXtSegmentLib.Refine.RefinePanel import RefinePanel
from MedNeXtSegmentLib.Review.ReviewPanel import ReviewPanel
from MedNeXtSegmentLib.Scene.SliceViews import jumpSlicesTo
from MedNeXtSegmentLib.Segment.SegmentPanel import SegmentPanel
from MedNeXtSegmentLib.Setup.Dependencies import Installer, slicerInstaller
from MedNeXtSegmentLib.Setup.SetupPanel import SetupPanel
from MedNeXtSegmentLib.Worker.ServerChoice import keepServersModels


class ModulePanel:
    """Builds the whole panel and keeps its parts.

    Args:
        layout: of the module's widget.
        resourcePath: file name -> path under Resources/.
        logic: MedNeXtSegmentLogic.
        installer: of missing packages; None for Slicer's own ways.
    """

    def __init__(self, layout, resourcePath, logic, installer: Installer | None = None) -> None:
        self._logic = logic
        setupWidget = slicer.util.loadUI(resourcePath("UI/Setup.ui"))
        segmentWidget = slicer.util.loadUI(resourcePath("UI/Segment.ui"))
        layout.addWidget(setupWidget)
        self.tabs = qt.QTabWidget()
        self.tabs.addTab(segmentWidget, _("Segment"))
        layout.addWidget(self.tabs)
        self.setup = SetupPanel(
            setupWidget, installer or slicerInstaller(), logic.worker, self._onSetupChanged, self._onComputerChanged
        )
        self.segment = SegmentPanel(segmentWidget, logic, self.setup.whatIsMissing)
        refineWidget = slicer.util.loadUI(resourcePath("UI/Refine.ui"))
        self.tabs.addTab(refineWidget, _("Refine"))
        refineToolsWidget = slicer.util.loadUI(resourcePath("UI/RefineTools.ui"))
        collect = None if logic.worker is None else self._collectCase
        self.refine = RefinePanel(refineWidget, refineToolsWidget, logic.refine, self.setup.whatIsMissing, collect)
        self._refineWidget, self._isEntered = refineWidget, False
        self.tabs.connect("currentChanged(int)", self._onTabChanged)
        self.evaluate: EvaluatePanel | None = None
        self.review: ReviewPanel | None = None
        self.adapt: AdaptPanel | None = None
        self.models: ModelsPanel | None = None
        if logic.worker is not None:
            evaluateWidget = slicer.util.loadUI(resourcePath("UI/Evaluate.ui"))
            self.tabs.addTab(evaluateWidget, _("Evaluate"))
            self.evaluate = EvaluatePanel(evaluateWidget, logic.evaluation, self.setup.whatIsMissing)
            chosen = lambda: self.segment.model.card, self.segment.job
            self.review = ReviewPanel(self.evaluate.ui, logic.review, *chosen, self.setup.whatIsMissing, self._refineAt)
            adaptWidget = slicer.util.loadUI(resourcePath("UI/Adapt.ui"))
            self.tabs.addTab(adaptWidget, _("Adapt"))
            more = logic.collection, logic.priors, logic.library.importModel, self._onAdaptedInstalled
            self.adapt = AdaptPanel(adaptWidget, lambda: logic.adaptation, logic.models, *more, self.setup.whatIsMissing)
            modelsWidget = slicer.util.loadUI(resourcePath("UI/Models.ui"))
            self.tabs.addTab(modelsWidget, _("Models"))
            self.models = ModelsPanel(modelsWidget, logic.library, self._onLibraryChanged)
        logic.workerListeners.append(self)
        if logic.worker is not None and logic.worker.hello is not None:
            self.onWorkerReady(logic.worker.hello)

    def enter(self) -> None:
        """The module was opened: the worker warms up, so that devices are known and the first run need not wait."""
        self.segment.enter()
        self._updateEvaluate()
        if self.models is not None:
            self.models.enter()
        self._isEntered = True
        self._onTabChanged()
        self.setup.checkComputer()

    def exit(self) -> None:
        """Another module was opened."""
        self.segment.exit()
        self._isEntered = False
        self._onTabChanged()

    def close(self) -> None:
        """The panel goes."""
        self.setup.server.close()
        self._logic.workerListeners.remove(self)
        self.segment.close()
        self.refine.close()
        if self.evaluate is not None:
            self.evaluate.close()
            self.review.setParameterNode(None)
            self.adapt.close()
        if self.models is not None:
            self.models.close()

    def followScene(self) -> None:
        """Show the scene's parameters; those of a new scene begin with the device of the settings."""
        isNew = "device" not in ScriptedLoadableModuleLogic.getParameterNode(self._logic).GetParameterNames()
        parameterNode = self._logic.getParameterNode()
        if isNew:
            parameterNode.device = Settings.defaultDevice()
        self.setParameterNode(parameterNode)

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none."""
        self.segment.setParameterNode(parameterNode)
        self.refine.setParameterNode(parameterNode)
        if self.evaluate is not None:
            self.evaluate.setParameterNode(parameterNode)
            self.review.setParameterNode(parameterNode)
            self.adapt.setParameterNode(parameterNode)

    def onWorkerReady(self, hello: dict) -> None:
        """The worker told what this computer offers."""
        self.segment.advanced.setDevices(hello["devices"])
        self.setup.showHello(hello)
        if "server" in hello:
            self._logic.worker.request("list_models", onResult=self._onServersModels)

    def onWorkerLog(self, text: str) -> None:
        """What the worker has to say, apart from results."""
        self.segment.runPanel.appendLog(text)

    def _onLibraryChanged(self, newModelId: str) -> None:
        self.segment.reloadModels()
        self.segment.model.choose(newModelId)
        self.segment.update()
        if self.review is not None:
            self.review.update()
            self.adapt.reloadModels()

    def _onAdaptedInstalled(self, modelId: str) -> None:
        """A model came into the library by the Adapt tab; an empty id leaves the Segment tab with the model that it has."""
        self.models.reload()
        self._onLibraryChanged(modelId)

    def _onServersModels(self, value: dict) -> None:
        keepServersModels(value["models"])
        self._onAdaptedInstalled("")

    def _onComputerChanged(self) -> None:
        self._logic.restartWorkers()
        self._onAdaptedInstalled("")

    def _onTabChanged(self, *_args) -> None:
        self.refine.setActive(self._isEntered and self.tabs.currentWidget() is self._refineWidget)

    def _onSetupChanged(self) -> None:
        self.segment.update()
        self.refine.update()
        self._updateEvaluate()

    def _updateEvaluate(self) -> None:
        if self.evaluate is not None:
            self.evaluate.update()
            self.review.update()
            self.adapt.update()

    def _collectCase(self, onFinished) -> None:
        """Keep the case of the Refine tab for adapting, with the channels that the model of the Segment tab has."""
        parameters, card = self._logic.getParameterNode(), self.segment.model.card
        volumeNodes = inputVolumesOf(parameters, 1 if card is None else len(card.channels))

        def finish(run) -> None:
            onFinished(run)
            self.adapt.update()

        self._logic.collectCase(volumeNodes, parameters.outputSegmentation, waitForCompletion=False, finishedCallback=finish)

    def _refineAt(self, segmentId: str, placeRAS: tuple) -> None:
        """Open the Refine tab with a segment of the output segmentation, at a place in world RAS."""
        self.tabs.setCurrentWidget(self._refineWidget)
        self.refine.update()
        selector = self.refine.ui.segmentSelector
        selector.setCurrentIndex(selector.findData(segmentId))
        jumpSlicesTo(placeRAS)
