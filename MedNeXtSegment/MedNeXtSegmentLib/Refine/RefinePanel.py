"""The Refine tab: which segment on which volume, and the tools that correct it."""

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Refine.ClickSources import MarkupsClicks
from MedNeXtSegmentLib.Refine.PrompterChoice import PrompterChoice, chosenPrompter
from MedNeXtSegmentLib.Refine.RefineLogic import RefineLogic
from MedNeXtSegmentLib.Refine.RefineTarget import RefineTarget
from MedNeXtSegmentLib.Refine.RefineTools import RefineTools
from MedNeXtSegmentLib.Scene.SegmentationObserver import SegmentationObserver
from MedNeXtSegmentLib.Scene.Segmentations import otherGridNotice
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel


class RefinePanel(NodePanel):
    """Chooses the segment and the volume, and shows the tools below.

    Args:
        widget: loaded from Refine.ui.
        toolsWidget: loaded from RefineTools.ui; it is put below.
        logic: of refinement.
        whatIsMissing: says in one sentence why this computer cannot compute; empty where it can.
        collect: keeps volume and segmentation for adapting, and calls what it is given with the CollectRun; None where nothing can.

    Attributes:
        tools: the RefineTools.
        prompterChoice: the PrompterChoice.
    """

    def __init__(
        self, widget, toolsWidget, logic: RefineLogic, whatIsMissing: Callable[[], str], collect: Callable | None
    ) -> None:
        super().__init__(slicer.util.childWidgetVariables(widget))
        self._whatIsMissing, self._collect, self._isCollecting = whatIsMissing, collect, False
        widget.setMRMLScene(slicer.mrmlScene)
        widget.layout().addWidget(toolsWidget)
        events = slicer.vtkSegmentation
        self._observer = SegmentationObserver((events.SegmentAdded, events.SegmentRemoved, events.SegmentModified), self.update)
        self._isUpdating = False
        self._seenVolume = None
        self.tools = RefineTools(toolsWidget, lambda: logic, MarkupsClicks(), self._target)
        self.prompterChoice = PrompterChoice(self.ui, self.update)
        self.tools.ui.nextSegmentButton.clicked.connect(lambda *_args: self._nextSegment())
        self.ui.collectButton.setVisible(collect is not None)
        self.ui.collectButton.clicked.connect(lambda *_args: self._onCollect())
        self.ui.segmentSelector.connect("currentIndexChanged(int)", self._onSegmentChosen)

    def setActive(self, isActive: bool) -> None:
        """Shortcuts and tools live only while the tab is in front and the module is open."""
        self.update()
        self.tools.setActive(isActive)

    def close(self) -> None:
        """Let go of the scene."""
        self.setParameterNode(None)
        self.tools.close()

    def setParameterNode(self, parameterNode) -> None:
        """Bind the widgets to these parameters; None unbinds them and ends the session."""
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            self._observer.follow(None)
            self.tools.leave()
        self.update()

    def update(self) -> None:
        """Show what there is, and enable what can be done."""
        if self._isUpdating:
            return
        self._isUpdating = True
        parameters = self._parameterNode
        self._observer.follow(parameters.outputSegmentation if parameters is not None else None)
        self._fillSegments()
        self.tools.ui.nextSegmentButton.enabled = self.ui.segmentSelector.count > 1
        if self.tools.session is not None and parameters is not None:
            self.tools.session.useDisplayedWindow = parameters.useDisplayedWindow
        chosen = parameters is not None and None not in (parameters.inputVolume, parameters.outputSegmentation)
        self.ui.collectButton.enabled = chosen and not self._isCollecting
        self._isUpdating = False
        self.tools.update()
        volume = parameters.inputVolume if parameters is not None else None
        if volume is not self._seenVolume:
            self._seenVolume = volume
            if volume is not None and parameters.outputSegmentation is not None:
                self.tools.say(otherGridNotice(parameters.outputSegmentation, volume))

    def _target(self) -> RefineTarget:
        parameters = self._parameterNode
        if parameters is None:
            return RefineTarget(missing=self._missing())
        options = (("useDisplayedWindow", parameters.useDisplayedWindow), *chosenPrompter())
        return RefineTarget(parameters.inputVolume, parameters.outputSegmentation, self._segmentId(), self._missing(), options)

    def _missing(self) -> str:
        parameters = self._parameterNode
        if parameters is None or parameters.inputVolume is None:
            return _("Choose a volume.")
        if parameters.outputSegmentation is None:
            return _("Choose a segmentation; the Segment tab or the Segment Editor makes one.")
        if not self._segmentId():
            return _("The segmentation has no segment; add one in the Segment Editor.")
        # Looking for packages takes longer than a click may; where a session runs, there is what it needs.
        return self._whatIsMissing() if self.tools.session is None else ""

    def _segmentId(self) -> str:
        return self.ui.segmentSelector.itemData(self.ui.segmentSelector.currentIndex) or ""

    def _fillSegments(self) -> None:
        """The list of segments, with the choice kept where its segment still is."""
        chosen, selector = self._segmentId(), self.ui.segmentSelector
        segmentation = self._observer.segmentation
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())] if segmentation else []
        names = [segmentation.GetSegment(segmentId).GetName() for segmentId in ids]
        if [(selector.itemText(n), selector.itemData(n)) for n in range(selector.count)] == list(zip(names, ids, strict=True)):
            return
        selector.clear()
        for name, segmentId in zip(names, ids, strict=True):
            selector.addItem(name, segmentId)
        selector.setCurrentIndex(max(0, ids.index(chosen)) if chosen in ids else 0)

    def _nextSegment(self) -> None:
        selector = self.ui.segmentSelector
        if selector.count:
            selector.setCurrentIndex((selector.currentIndex + 1) % selector.count)
            self.tools.beginObject()

    def _onCollect(self) -> None:
        self._isCollecting = True
        try:
            self._collect(self._onCollected)
        except (ValueError, RuntimeError) as error:
            self._isCollecting = False
            self.tools.say(str(error))
        self.update()

    def _onCollected(self, run) -> None:
        self._isCollecting = False
        self.update()
        text = _("Collected for adapting; the Adapt tab lists it. It stays on this computer.")
        self.tools.say(text if run.error is None else str(run.error))

    def _onSegmentChosen(self, *_args) -> None:
        self.update()
