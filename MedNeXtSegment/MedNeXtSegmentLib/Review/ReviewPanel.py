"""Section "Where to look first": the slices to review, the way to them, and on to the Refine tab."""

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.ParameterNode import inputVolumesOf
from MedNeXtSegmentLib.Review.ReviewLogic import ReviewLogic
from MedNeXtSegmentLib.Review.ReviewRun import ReviewRun, ReviewSlice
from MedNeXtSegmentLib.Review.ReviewTable import ReviewTable
from MedNeXtSegmentLib.Scene.Segmentations import segmentIdByName
from MedNeXtSegmentLib.Scene.SliceViews import jumpSlicesTo
from MedNeXtSegmentLib.Widgets.NodePanel import NodePanel
from MedNeXtSegmentLib.Widgets.ProgressRow import ProgressRow


class ReviewPanel(NodePanel):
    """Uses the volume, model, region and segmentation of the Segment tab; `setParameterNode(None)` ends what runs.

    Args:
        ui: the widgets of Evaluate.ui.
        logic: finds the slices.
        chosenCard: tells the model card of the Segment tab, None where no model is chosen.
        chosenJob: tells what that tab's Apply would start (a SegmentJob).
        whatIsMissing: says in one sentence why this computer cannot compute; empty where it can.
        refineAt: called with a segment id and a place (world RAS in mm) to refine it there.
    """

    def __init__(
        self,
        ui,
        logic: ReviewLogic,
        chosenCard: Callable[[], ModelCard | None],
        chosenJob: Callable,
        whatIsMissing: Callable[[], str],
        refineAt: Callable[[str, tuple], None],
    ) -> None:
        super().__init__(ui, isBound=False)  # the Evaluate tab, to which the widgets belong, binds them
        self.logic, self._card, self._job = logic, chosenCard, chosenJob
        self._whatIsMissing, self._refineAt = whatIsMissing, refineAt
        self.table = ReviewTable(ui.reviewTable, self.lookAt)
        self.run: ReviewRun | None = None
        self._shownFor: tuple = ()
        toolTips = _("Run the model again and list the slices it is least sure of."), _("Stop; nothing is listed.")
        self.progress = ProgressRow(ui.reviewButton, ui.reviewProgressBar, *toolTips, self._start, self._onStop)
        ui.refineSliceButton.clicked.connect(lambda *_args: self._onRefine())

    def setParameterNode(self, parameterNode) -> None:
        """Follow these parameters; None for none, and what was shown of another scene goes."""
        super().setParameterNode(parameterNode)
        if parameterNode is None:
            self._forget()
        else:
            self.update()

    def update(self) -> None:
        """Say what would be searched, and enable what can be done."""
        if self._parameterNode is None:
            return
        card = self._card()
        if self._shownFor and self._shownFor != self._inputs(card):
            self._forget()
        missing = self._missing(card)
        if missing:
            self.ui.reviewInputsLabel.setText(missing)
        else:
            text = _("{model} on {volume}, as chosen in the Segment tab")
            volume = self._parameterNode.inputVolume.GetName()
            self.ui.reviewInputsLabel.setText(text.format(model=card.title, volume=volume))
        self.progress.setRunning(self.run is not None)
        self.progress.setReady(missing)
        problem = self._whyNotRefined()
        self.ui.refineSliceButton.enabled = not problem
        self.ui.refineSliceButton.setToolTip(problem or _("Open the Refine tab with this segment, at this slice."))

    def lookAt(self, item: ReviewSlice) -> None:
        """Bring a slice into all views, over the volume that was searched."""
        slicer.util.setSliceViewerLayers(background=self._parameterNode.inputVolume)
        jumpSlicesTo(item.centerRAS)
        self.update()

    def _start(self) -> None:
        self._forget()
        self._shownFor = self._inputs(self._card())
        try:
            self.run = self.logic.review(self._job(), progressCallback=self._onProgress, finishedCallback=self._onFinished)
        except (ValueError, RuntimeError) as error:
            self._showStatus(str(error))
        self.update()

    def _onProgress(self, run: ReviewRun) -> None:
        self.progress.show(run.fraction)

    def _onFinished(self, run: ReviewRun) -> None:
        self.run = None
        if run.error is not None:
            self._showStatus(str(run.error))
        else:
            self.table.show(run.slices)
            self._showStatus("" if run.slices else _("The model is in no doubt anywhere."))
        self.update()

    def _onStop(self) -> None:
        self.logic.abandon(self.run)

    def _onRefine(self) -> None:
        problem = self._whyNotRefined()  # the segment may have gone since the row was clicked
        if problem:
            self._showStatus(problem)
        else:
            self._refineAt(self._segmentIdOf(self.table.chosen), self.table.chosen.centerRAS)

    def _segmentIdOf(self, item: ReviewSlice) -> str | None:
        segmentation = self._parameterNode.outputSegmentation
        return None if segmentation is None else segmentIdByName(segmentation, item.segmentName)

    def _whyNotRefined(self) -> str:
        if self.table.chosen is None:
            return _("Click a slice of the table first.")
        if self._segmentIdOf(self.table.chosen) is None:
            text = _("The Segment tab's segmentation has no segment {name}; segment the volume first.")
            return text.format(name=repr(self.table.chosen.segmentName))
        return ""

    def _missing(self, card: ModelCard | None) -> str:
        if card is None:
            return _("Choose a model in the Segment tab.")
        if any(node is None for node in inputVolumesOf(self._parameterNode, len(card.channels))):
            return _("Choose the volume in the Segment tab.")
        return self._whatIsMissing()

    def _inputs(self, card: ModelCard | None) -> tuple:
        parameters = self._parameterNode
        volumes = () if card is None else inputVolumesOf(parameters, len(card.channels))
        return parameters.modelId, *(node and node.GetID() for node in (*volumes, parameters.roi))

    def _forget(self) -> None:
        self._shownFor = ()
        if self.run is not None:
            self.logic.abandon(self.run)
        self.table.show([])
        self._showStatus("")

    def _showStatus(self, text: str) -> None:
        self.ui.reviewStatusLabel.setText(text)
