"""The automatic run between nodes: volume nodes in, named segments out. No widgets."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum

import slicer
from slicer.i18n import tr as _

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard, label_from_dict
from mednextseg.segment.prepare.input_check import warnings_for
from mednextseg.segment.prepare.region_check import check_region, coarse_card, finds_own_region
from mednextseg.segment.skip_labels import SKIP_LABELS
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Representations import needLabelmaps
from MedNeXtSegmentLib.Scene.Segmentations import REPORT_ATTRIBUTE, newSegmentationFor, writeLabelsToSegmentation
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, channelsOf, linearTransformToWorld
from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic


class Regions(Enum):
    """Where the region of a run comes from: none is needed, the user must give one, or another model finds it."""

    NONE, FROM_USER, FROM_MODEL = range(3)


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
        if job.roiNode is None and not job.isWhole and self.regionsFor(job.volumeNodes[0], job.card) is Regions.FROM_USER:
            text = _(
                "The model {model} needs a region of interest; give one around its structure, or insist on the whole volume."
            )
            raise ValueError(" ".join([text.format(model=job.card.id), self.missingCoarseModel(job.card)]).rstrip())
        parameters = {**sent, "labels": None if job.labels is None else names}
        run = SegmentRun(self._worker, job, progressCallback, finishedCallback)
        logging.info("MedNeXtSegment: %s on %s", run.card.id, run.volumeNode.GetName())
        self._begin(run, "segment", parameters, lambda value: self._deliver(run, value))
        return run

    def regionsFor(self, volumeNode, card: ModelCard) -> Regions:
        """Where a run without a region of interest would get one from.

        Raises:
            ValueError: in one sentence, where the volume cannot be used at all.
        """
        _voxels, geometry = arrayAndGeometryFromVolume(volumeNode)
        if finds_own_region(geometry, card):
            return Regions.FROM_MODEL
        try:
            check_region(geometry, card, None)
        except ValueError:
            return Regions.FROM_USER
        return Regions.NONE

    def missingCoarseModel(self, card: ModelCard) -> str:
        """Says which model would find the region but is not installed; empty where none is missing."""
        if card.region_from is None or coarse_card(card) is not None:
            return ""
        text = _("The model {model}, which would find it, is not installed.")
        return text.format(model=card.region_from.model)

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

    def showSkipMap(self, run: SegmentRun):
        """Show what a finished run did not look at, or less often, as a segmentation of its own beside the volume.

        Returns:
            The vtkMRMLSegmentationNode; the one of before where it is still there, None where every window was looked at.
        Raises:
            ValueError: where the volume was removed.
        """
        if run.skipMap_kji is None:
            return None
        if run.skipMapNode is not None and slicer.mrmlScene.IsNodePresent(run.skipMapNode):
            run.skipMapNode.SetDisplayVisibility(True)
            return run.skipMapNode
        if not slicer.mrmlScene.IsNodePresent(run.volumeNode):
            raise ValueError(
                _("The volume of this run was removed, so there is nothing to show its skipped windows on; load it again.")
            )
        name = slicer.mrmlScene.GenerateUniqueName(_("{volume} skipped windows").format(volume=run.volumeNode.GetName()))
        run.skipMapNode = newSegmentationFor(run.volumeNode, name)
        geometry = Geometry(run.skipMap_kji.shape, linearTransformToWorld(run.volumeNode) @ run.placement)
        writeLabelsToSegmentation(run.skipMap_kji, geometry, run.skipMapNode, list(SKIP_LABELS))
        return run.skipMapNode

    def _deliver(self, run: SegmentRun, value: dict) -> None:
        """Write the result where the volume is now: it may have been moved by its transform during the run."""
        if run.isCancelRequested:
            self._end(run, runCancelled())
            return
        isNew, labelmap_kji = run.segmentationNode is None, value["labelmap"]
        labels = [label_from_dict(raw) for raw in value["report"]["labels"]]
        try:
            geometry = Geometry(labelmap_kji.shape[-3:], linearTransformToWorld(run.volumeNode) @ run.placement)
            if isNew:
                name = _("{volume} segmentation").format(volume=run.volumeNode.GetName())
                run.segmentationNode = newSegmentationFor(run.volumeNode, slicer.mrmlScene.GenerateUniqueName(name))
            output = run.segmentationNode
            self.history.perform(output, lambda: writeLabelsToSegmentation(labelmap_kji, geometry, output, labels))
        except (ValueError, RuntimeError) as error:
            if isNew and run.segmentationNode is not None:
                slicer.mrmlScene.RemoveNode(run.segmentationNode)
                run.segmentationNode = None
            self._end(run, RunFailure(protocol.FAILED, str(error)))
            return
        run.labels, run.report, run.skipMap_kji = labels, value["report"], value.get("skip_map")
        run.segmentationNode.SetAttribute(REPORT_ATTRIBUTE, json.dumps(run.report))
        self._end(run)
