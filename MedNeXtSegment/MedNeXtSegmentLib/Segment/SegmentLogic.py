"""The automatic run between nodes: volume nodes in, named segments out. No widgets."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import slicer
from slicer.i18n import tr as _

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard
from mednextseg.segment.prepare.input_check import warnings_for
from mednextseg.segment.prepare.region_check import check_region
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Representations import needLabelmaps
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, writeLabelsToSegmentation
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, channelsOf, linearTransformToWorld, placementOf
from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic

# The engine's report as JSON: which model, recipe and device made the segments.
REPORT_ATTRIBUTE = "MedNeXtSegment.Report"


class SegmentLogic(WorkerRunLogic):
    """Starts runs, and delivers their results into segmentation nodes.

    Args:
        worker: computes; a WorkerClient, or an InProcessEngine where there is no Qt.
        history: where the state before each delivery is kept.
    """

    def __init__(self, worker, history: EditHistory) -> None:
        super().__init__(worker)
        self.history = history

    def segment(
        self,
        job: SegmentJob,
        progressCallback: Callable[[SegmentRun], None] | None = None,
        finishedCallback: Callable[[SegmentRun], None] | None = None,
    ) -> SegmentRun:
        """Start a run.

        Args:
            job: what is asked for.
            progressCallback: called with the run after each report.
            finishedCallback: called once, with the run, when it is over.
        Raises:
            ValueError: for nodes, a model, labels or a region that cannot be used; nothing was started.
            RuntimeError: where the disk has no room for a volume.
        """
        names = [label.name for label in job.keptLabels]
        if job.segmentationNode is not None:
            linearTransformToWorld(job.segmentationNode)
            needLabelmaps(job.segmentationNode, job.volumeNodes[0])
        sent = job.sentTo(self._worker)
        if job.roiNode is None and not job.isWhole and self.needsRegion(job.volumeNodes[0], job.card):
            text = _(
                "The model {model} needs a region of interest; give one around its structure, or insist on the whole volume."
            )
            raise ValueError(text.format(model=job.card.id))
        parameters = {**sent, "labels": None if job.labels is None else names, "whole": job.isWhole}
        run = SegmentRun(self._worker, job, progressCallback, finishedCallback)
        placement = placementOf(run.volumeNode)
        logging.info("MedNeXtSegment: %s on %s", run.card.id, run.volumeNode.GetName())
        self._begin(run, "segment", parameters, lambda value: self._deliver(run, placement, value["labelmap"], value["report"]))
        return run

    def needsRegion(self, volumeNode, card: ModelCard) -> bool:
        """Whether a volume is too large for a model that only knows boxes around its structure, so that it needs a region of interest.

        Raises:
            ValueError: in one sentence, where the volume cannot be used at all.
        """
        _voxels, geometry = arrayAndGeometryFromVolume(volumeNode)
        try:
            check_region(geometry, card, None)
        except ValueError:
            return True
        return False

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

    def _deliver(self, run: SegmentRun, placement: np.ndarray, labelmap_kji: np.ndarray, report: dict) -> None:
        """Write the result where the volume is now: it may have been moved by its transform during the run."""
        if run.isCancelRequested:
            self._end(run, runCancelled())
            return
        isNew = run.segmentationNode is None
        try:
            geometry = Geometry(labelmap_kji.shape, linearTransformToWorld(run.volumeNode) @ placement)
            if isNew:
                name = _("{volume} segmentation").format(volume=run.volumeNode.GetName())
                run.segmentationNode = newSegmentationFor(run.volumeNode, slicer.mrmlScene.GenerateUniqueName(name))
            output, labels = run.segmentationNode, run.job.keptLabels
            self.history.perform(output, lambda: writeLabelsToSegmentation(labelmap_kji, geometry, output, labels))
        except (ValueError, RuntimeError) as error:
            if isNew and run.segmentationNode is not None:
                slicer.mrmlScene.RemoveNode(run.segmentationNode)
                run.segmentationNode = None
            self._end(run, RunFailure(protocol.FAILED, str(error)))
            return
        run.report = report
        run.segmentationNode.SetAttribute(REPORT_ATTRIBUTE, json.dumps(report))
        self._end(run)
