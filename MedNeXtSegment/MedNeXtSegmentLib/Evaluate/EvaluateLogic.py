"""Evaluation between nodes: two segmentations in, numbers and an error map out. No widgets; the worker computes."""

from collections.abc import Callable, Sequence

import numpy as np
import slicer
from slicer.i18n import tr as _

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Evaluate.EvaluateRun import Confusion, EvaluateRun, StructureResult
from MedNeXtSegmentLib.Evaluate.SegmentPairs import SegmentPair, matchSegments, segmentNames
from MedNeXtSegmentLib.Scene.Segmentations import maskAndGeometryOfSegments, newSegmentationFor, writeLabelsToSegmentation
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic

# The values of mednextseg.evaluate.metrics.error_map; told apart with color blindness, too.
ERROR_LABELS = (Label(1, "false positive", (230, 159, 0)), Label(2, "false negative", (0, 114, 230)))


class EvaluateLogic(WorkerRunLogic):
    """Compares segmentations structure by structure, so that Slicer stays responsive and a run can be stopped.

    >>> logic = EvaluateLogic(slicer.modules.mednextsegment.widgetRepresentation().self().logic.worker)
    >>> run = logic.evaluate(referenceNode, testNode, finishedCallback=lambda run: print(run.results))
    """

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
        run = EvaluateRun(self._worker, referenceNode, testNode, kept, progressCallback, finishedCallback)
        self._begin(run, "evaluate", _structureOf(run), lambda value: self._onStructure(run, value))
        return run

    def _onStructure(self, run: EvaluateRun, value: dict) -> None:
        """Keep a structure's result and ask for the next one, and after the last one for the confusion."""
        run.add(_resultOf(run, value))
        if run.isFinished:
            return
        if run.isCancelRequested:
            self._end(run, runCancelled())
            return
        try:
            if len(run.results) < len(run.pairs):
                self._ask(run, "evaluate", _structureOf(run), lambda value: self._onStructure(run, value))
            else:
                self._ask(run, "confusion", _confusionOf(run), lambda value: self._onConfusion(run, value))
        except (ValueError, RuntimeError) as error:
            self._end(run, RunFailure(protocol.INVALID_INPUT, str(error)))

    def _onConfusion(self, run: EvaluateRun, value: dict) -> None:
        rows, columns = [pair.name for pair in run.pairs], list(segmentNames(run.testNode).values())
        run.confusion = Confusion(tuple(rows), (*columns, _("(none)")), np.array(value["volumes_ml"]))
        self._end(run)


def writeErrorMap(result: StructureResult, segmentationNode) -> None:
    """Replace the segments "false positive" and "false negative" of a node by one structure's errors."""
    writeLabelsToSegmentation(result.errors_kji, result.errorsGeometry, segmentationNode, list(ERROR_LABELS))


def newErrorMap(run: EvaluateRun, volumeNode):
    """A segmentation node for the error map, placed beside the volume where there is one."""
    name = slicer.mrmlScene.GenerateUniqueName(_("Errors of {test}").format(test=run.testNode.GetName()))
    if volumeNode is not None:
        return newSegmentationFor(volumeNode, name)
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentationNode.CreateDefaultDisplayNodes()
    return segmentationNode


def _resultOf(run: EvaluateRun, value: dict) -> StructureResult:
    """The worker's answer for the next structure."""
    place = value["largest_error_ras"]
    return StructureResult(
        run.pairs[len(run.results)],
        value["metrics"],
        None if place is None else tuple(place),
        tuple(value["notes"]),
        value["errors"],
        Geometry(value["errors"].shape, np.array(value["errors_ijk_to_ras"])),
    )


def _structureOf(run: EvaluateRun) -> dict:
    """Parameters of the operation "evaluate" for the next structure; an empty side is one voxel on the other's lattice."""
    pair = run.pairs[len(run.results)]
    masks = [
        maskAndGeometryOfSegments(run.referenceNode, pair.referenceIds),
        maskAndGeometryOfSegments(run.testNode, pair.testIds),
    ]
    placement = next((mask[1].ijk_to_ras for mask in masks if mask is not None), np.eye(4))
    (reference_kji, reference), (test_kji, test) = (_orEmpty(mask, placement) for mask in masks)
    return {
        "name": pair.name,
        "reference": reference_kji,
        "reference_ijk_to_ras": reference.ijk_to_ras.tolist(),
        "prediction": test_kji,
        "prediction_ijk_to_ras": test.ijk_to_ras.tolist(),
    }


def _confusionOf(run: EvaluateRun) -> dict:
    """Parameters of the operation "confusion": the compared structures against every segment of the test."""
    sides = {
        "reference": (run.referenceNode, [pair.referenceIds for pair in run.pairs]),
        "prediction": (run.testNode, [(segmentId,) for segmentId in segmentNames(run.testNode)]),
    }
    parameters: dict = {}
    for side, (node, structures) in sides.items():
        masks = [_orEmpty(maskAndGeometryOfSegments(node, ids), np.eye(4)) for ids in structures]
        parameters[f"{side}s"] = [geometry.ijk_to_ras.tolist() for _mask, geometry in masks]
        parameters.update({f"{side}_{number}": mask_kji for number, (mask_kji, _geometry) in enumerate(masks)})
    return parameters


def _orEmpty(mask: tuple[np.ndarray, Geometry] | None, placement: np.ndarray) -> tuple[np.ndarray, Geometry]:
    """A single voxel without label in place of an empty mask."""
    return (np.zeros((1, 1, 1), dtype=np.uint8), Geometry((1, 1, 1), placement)) if mask is None else mask
