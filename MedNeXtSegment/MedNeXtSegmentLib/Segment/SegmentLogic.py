"""The automatic run between nodes: volume nodes in, named segments out. No widgets."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.models.library import find_model
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.segment.prepare.input_check import warnings_for
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, writeLabelsToSegmentation
from MedNeXtSegmentLib.Scene.Volumes import channelsOf, linearTransformToWorld, placementOf, volumeKey
from MedNeXtSegmentLib.Segment.SegmentEngine import RunEvents, RunFailure, SegmentEngine, SegmentJob
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun

# The engine's report as JSON: which model, recipe and device made the segments.
REPORT_ATTRIBUTE = "MedNeXtSegment.Report"


class SegmentLogic(VTKObservationMixin):
    """Starts runs, delivers their results into segmentation nodes, and ends them when their nodes go.

    Args:
        engine: what computes.
        history: where the state before each delivery is kept.
    """

    def __init__(self, engine: SegmentEngine, history: EditHistory) -> None:
        VTKObservationMixin.__init__(self)
        self.engine = engine
        self.history = history
        self.runs: list[SegmentRun] = []
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.EndCloseEvent, self._onNodesChanged)

    def close(self) -> None:
        """End all runs and observe nothing any more."""
        self.cancelAll()
        self.removeObservers()

    def cancelAll(self) -> None:
        """End every run now; nothing is written."""
        runs, self.runs = self.runs, []
        for run in runs:
            run.abandon(RunFailure(protocol.CANCELLED, _("The run was cancelled.")))

    def segment(
        self,
        volumeNode,
        model: str,
        roiNode=None,
        labels: Sequence[str] | None = None,
        recipe: dict | None = None,
        segmentationNode=None,
        device: str = "auto",
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
    ) -> SegmentRun:
        """Start a run; arguments as MedNeXtSegmentLogic.segment.

        Raises:
            ValueError: for nodes, a model, labels or a region that cannot be used; nothing was started.
        """
        volumeNodes = list(volumeNode) if isinstance(volumeNode, (list, tuple)) else [volumeNode]
        card = read_card(find_model(model))
        volumes = channelsOf(volumeNodes, card)
        if segmentationNode is not None:
            linearTransformToWorld(segmentationNode)
        keptLabels = labelsOf(card, labels)
        job = SegmentJob(
            volumes=tuple(volumes),
            volumeKeys=tuple(volumeKey(node, geometry) for node, (_array, geometry) in zip(volumeNodes, volumes, strict=True)),
            model=str(model),
            region=None if roiNode is None else regionFromROINode(roiNode),
            labels=None if labels is None else [label.name for label in keptLabels],
            recipe=recipe or {},
            device=device,
        )
        if job.region is not None:
            job.region.index_bounds(volumes[0][1])
        names = [label.name for label in keptLabels]
        handle = []
        run = SegmentRun(
            volumeNodes[0],
            card,
            names,
            segmentationNode,
            lambda: self.engine.cancel(handle[0]) if handle else None,
            progressCallback,
            finishedCallback,
        )
        self.runs.append(run)
        logging.info("MedNeXtSegment: %s on %s", card.id, volumeNodes[0].GetName())
        placement = placementOf(volumeNodes[0])
        events = RunEvents(
            run.reportProgress,
            lambda labelmap_kji, report: self._deliver(run, keptLabels, placement, labelmap_kji, report),
            lambda failure: self._end(run, failure),
            lambda: run.isCancelRequested,
        )
        handle.append(self.engine.start(job, events))
        return run

    def inputWarnings(self, volumeNodes: Sequence, card: ModelCard) -> list[str]:
        """Sentences for the user where the volumes look unlike what the model was trained on (spacing, modality).

        Raises:
            ValueError: in one sentence, where the volumes cannot be used at all.
        """
        volumes = channelsOf(volumeNodes, card)
        found: list[str] = []
        for channel, (volume_kji, geometry) in zip(card.channels, volumes, strict=True):
            found += warnings_for(volume_kji[None], geometry, replace(card, channels=(channel,)))
        return list(dict.fromkeys(found))

    def _deliver(
        self, run: SegmentRun, labels: list[Label], placement: np.ndarray, labelmap_kji: np.ndarray, report: dict
    ) -> None:
        """Write the result where the volume is now: it may have been moved by its transform during the run."""
        if run.isFinished:
            return
        isNew = run.segmentationNode is None
        try:
            ijkToWorld = linearTransformToWorld(run.volumeNode) @ placement
            if isNew:
                name = _("{volume} segmentation").format(volume=run.volumeNode.GetName())
                uniqueName = slicer.mrmlScene.GenerateUniqueName(name)
                run.segmentationNode = newSegmentationFor(run.volumeNode, uniqueName)
            self.history.saveState(run.segmentationNode)
            geometry = Geometry(labelmap_kji.shape, ijkToWorld)
            writeLabelsToSegmentation(labelmap_kji, geometry, run.segmentationNode, labels)
        except (ValueError, RuntimeError) as error:
            if isNew and run.segmentationNode is not None:
                slicer.mrmlScene.RemoveNode(run.segmentationNode)
                run.segmentationNode = None
            self._end(run, RunFailure(protocol.FAILED, str(error)))
            return
        run.report = report
        run.segmentationNode.SetAttribute(REPORT_ATTRIBUTE, json.dumps(report))
        self._end(run)

    def _end(self, run: SegmentRun, failure: RunFailure | None = None) -> None:
        if run in self.runs:
            self.runs.remove(run)
        run.finish(failure)

    def _onNodesChanged(self, caller=None, event=None) -> None:
        for run in list(self.runs):
            nodes = [node for node in (run.volumeNode, run.segmentationNode) if node is not None]
            missing = [node.GetName() for node in nodes if not slicer.mrmlScene.IsNodePresent(node)]
            if missing:
                self.runs.remove(run)
                text = _("{name} was removed during the run; nothing was written.").format(name=missing[0])
                run.abandon(RunFailure(protocol.CANCELLED, text))
        self.history.forgetRemoved()


def labelsOf(card: ModelCard, names: Sequence[str] | None) -> list[Label]:
    """The card's labels with these names, in the card's order; all of them for None.

    Raises:
        ValueError: for a name the model lacks, and for no name at all.
    """
    if names is None:
        return list(card.labels)
    wanted = {card.label_named(name).name for name in names}
    if not wanted:
        raise ValueError(_("No segment is selected; select at least one of the model's segments."))
    return [label for label in card.labels if label.name in wanted]
