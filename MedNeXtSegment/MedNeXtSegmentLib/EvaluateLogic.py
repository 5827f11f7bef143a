"""Evaluation between nodes: two segmentations in, numbers and an error map out. No widgets; the worker computes."""

from collections.abc import Callable, Sequence

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import Label
from mednextseg.worker import protocol
from MedNeXtSegmentLib import SlicerBridge
from MedNeXtSegmentLib.EvaluateRun import EvaluateRun, StructureResult
from MedNeXtSegmentLib.SegmentEngine import RunFailure
from MedNeXtSegmentLib.SegmentPairs import SegmentPair, matchSegments
from MedNeXtSegmentLib.WorkerClient import WorkerClient
from MedNeXtSegmentLib.WorkerError import WorkerError

# The values of mednextseg.evaluate.metrics.error_map; told apart with colour blindness, too.
ERROR_LABELS = (Label(1, "false positive", (230, 159, 0)), Label(2, "false negative", (0, 114, 230)))


class EvaluateLogic(VTKObservationMixin):
    """Compares segmentations structure by structure, so that Slicer stays responsive and a run can be stopped.

    >>> logic = EvaluateLogic(slicer.modules.mednextsegment.widgetRepresentation().self().logic.worker)
    >>> run = logic.evaluate(referenceNode, testNode, finishedCallback=lambda run: print(run.results))

    Args:
        worker: computes; shared with whatever else asks it.
    """

    def __init__(self, worker: WorkerClient) -> None:
        VTKObservationMixin.__init__(self)
        self._worker = worker
        self.runs: list[EvaluateRun] = []
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.EndCloseEvent, self._onNodesChanged)

    def close(self) -> None:
        """End all runs and observe nothing any more."""
        for run in list(self.runs):
            self.cancel(run)
        self.removeObservers()

    def evaluate(
        self,
        referenceNode,
        testNode,
        pairs: Sequence[SegmentPair] | None = None,
        progressCallback: Callable[[EvaluateRun], None] | None = None,
        finishedCallback: Callable[[EvaluateRun], None] | None = None,
    ) -> EvaluateRun:
        """Start comparing.

        Args:
            referenceNode, testNode: vtkMRMLSegmentationNode; parent transforms are followed, other voxel grids are resampled.
            pairs: what belongs together; None matches by name. Those without test segments are left out.
            progressCallback: called after each structure.
            finishedCallback: called once, when the run is over.
        Raises:
            ValueError: for nodes that cannot be compared, in one sentence; nothing was started.
        """
        if referenceNode is None or testNode is None:
            raise ValueError(_("Choose a reference and a test segmentation."))
        if referenceNode is testNode:
            raise ValueError(_("Reference and test are the same segmentation; choose two."))
        kept = [pair for pair in (matchSegments(referenceNode, testNode)[0] if pairs is None else pairs) if pair.testIds]
        if not kept:
            raise ValueError(_("No segment of the reference has a test segment; match at least one."))
        handle: list[int] = []
        run = EvaluateRun(
            referenceNode, testNode, kept, lambda: self._cancelRequests(handle), progressCallback, finishedCallback
        )
        self._request(run, handle)
        self.runs.append(run)
        return run

    def cancel(self, run: EvaluateRun) -> None:
        """End a run now."""
        self._end(run, RunFailure(protocol.CANCELLED, _("The evaluation was cancelled.")))

    def _request(self, run: EvaluateRun, handle: list[int]) -> None:
        """Ask for the next structure; raises ValueError or RuntimeError where it cannot be sent."""
        pair = run.pairs[len(run.results)]
        (reference_kji, reference), (test_kji, test) = _masksOf(run, pair)
        parameters = {
            "name": pair.name,
            "reference": reference_kji,
            "reference_ijk_to_ras": reference.ijk_to_ras.tolist(),
            "prediction": test_kji,
            "prediction_ijk_to_ras": test.ijk_to_ras.tolist(),
        }
        handle[:] = [
            self._worker.request(
                "evaluate",
                parameters,
                onResult=lambda value: self._onResult(run, handle, value),
                onError=lambda error: self._onError(run, error),
            )
        ]

    def _onResult(self, run: EvaluateRun, handle: list[int], value: dict) -> None:
        if run.isFinished:
            return
        place = value["largest_error_ras"]
        run.add(
            StructureResult(
                run.pairs[len(run.results)],
                value["metrics"],
                None if place is None else tuple(place),
                tuple(value["notes"]),
                value["errors"],
                Geometry(value["errors"].shape, np.array(value["errors_ijk_to_ras"])),
            )
        )
        if len(run.results) == len(run.pairs):
            self._end(run)
            return
        try:
            self._request(run, handle)
        except (ValueError, RuntimeError) as error:
            self._end(run, RunFailure(protocol.INVALID_INPUT, str(error)))

    def _onError(self, run: EvaluateRun, error: WorkerError) -> None:
        self._end(run, RunFailure(error.code, error.message, error.hint))

    def _cancelRequests(self, handle: list[int]) -> None:
        for requestId in handle:
            self._worker.cancel(requestId)

    def _end(self, run: EvaluateRun, failure: RunFailure | None = None) -> None:
        if run in self.runs:
            self.runs.remove(run)
        run.finish(failure)

    def _onNodesChanged(self, caller=None, event=None) -> None:
        for run in list(self.runs):
            missing = [n.GetName() for n in (run.referenceNode, run.testNode) if not slicer.mrmlScene.IsNodePresent(n)]
            if missing:
                text = _("{name} was removed during the evaluation.").format(name=missing[0])
                self._end(run, RunFailure(protocol.CANCELLED, text))


def writeErrorMap(result: StructureResult, segmentationNode) -> None:
    """Replace the segments "false positive" and "false negative" of a node by one structure's errors."""
    SlicerBridge.writeLabelsToSegmentation(result.errors_kji, result.errorsGeometry, segmentationNode, list(ERROR_LABELS))


def newErrorMap(run: EvaluateRun, volumeNode):
    """A segmentation node for the error map, placed beside the volume where there is one."""
    name = slicer.mrmlScene.GenerateUniqueName(_("Errors of {test}").format(test=run.testNode.GetName()))
    if volumeNode is not None:
        return SlicerBridge.newSegmentationFor(volumeNode, name)
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentationNode.CreateDefaultDisplayNodes()
    return segmentationNode


def jumpSlicesTo(place_ras: Sequence[float]) -> None:
    """Bring a point (world RAS in mm) into the middle of every slice view."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place_ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def _masksOf(run: EvaluateRun, pair: SegmentPair) -> list[tuple[np.ndarray, Geometry]]:
    """Mask and Geometry of both sides; an empty one is a single voxel without label on the other's lattice."""
    masks = [
        SlicerBridge.maskAndGeometryOfSegments(run.referenceNode, pair.referenceIds),
        SlicerBridge.maskAndGeometryOfSegments(run.testNode, pair.testIds),
    ]
    placement = next((mask[1].ijk_to_ras for mask in masks if mask is not None), np.eye(4))
    empty = np.zeros((1, 1, 1), dtype=np.uint8), Geometry((1, 1, 1), placement)
    return [empty if mask is None else mask for mask in masks]
