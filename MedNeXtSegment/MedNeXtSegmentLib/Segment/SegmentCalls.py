"""What scripts and the Python console call for automatic runs: over a volume, many volumes, a sequence.

Slicer imports this file when it starts; what it needs is imported with the first call.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob


class SegmentCalls:
    """A part of MedNeXtSegmentLogic, whose attributes `autoSegment` and `engine` it uses."""

    def segment(
        self,
        volumeNode,
        model: str,
        roiNode=None,
        labels: Sequence[str] | None = None,
        recipe: dict | None = None,
        segmentationNode=None,
        device: str = "auto",
        waitForCompletion: bool = True,
        progressCallback: Callable | None = None,
        finishedCallback: Callable | None = None,
        whole: bool = False,
    ):
        """Segment a volume into named, colored segments.

        Parent transforms of every node are followed; the volume is never changed. In an existing segmentation, segments of the
        model's names are replaced and all others stay as they are; `undo` takes the whole run back in one step.

        >>> segmentationNode = logic.segment(volumeNode, model="hippocampus-mr", labels=["Anterior hippocampus"])
        >>> run = logic.segment(volumeNode, model="hippocampus-mr", waitForCompletion=False,
        ...                     progressCallback=lambda p: print(f"{p.phase} {p.fraction:.0%}, {p.seconds_left} s left"),
        ...                     finishedCallback=lambda run: print(run.error or run.report["volumes_ml"]))
        >>> run.cancel()

        Args:
            volumeNode: vtkMRMLScalarVolumeNode; for a model of several channels a list, in the order of the model card.
            model: id of an installed model, or the folder of one.
            roiNode: vtkMRMLMarkupsROINode (rotated ones too): label only inside; None for the whole volume.
            labels: names of the labels to keep; None for all.
            recipe: as in mednextseg.segment.recipe.SegmentRecipe, for instance {"tta": True, "overlap": 0.5}, or {"budget": 0.4} to look
                at fewer windows.
            segmentationNode: vtkMRMLSegmentationNode to write into; None makes one beside the volume.
            device: "auto", "cpu", "cuda:N" or "mps".
            waitForCompletion: return only when the run is over; the event loop keeps running.
            progressCallback: called with a Progress: phase, fraction of the whole in [0, 1], seconds_left (None while unknown).
            finishedCallback: called once, when the run is over, with the SegmentRun: segmentationNode, report, error.
            whole: insist on the whole volume with a model that needs a region (`needs_region` of its card).
        Returns:
            The vtkMRMLSegmentationNode; without waiting a SegmentRun, with cancel(), isFinished and the fields above.
        Raises:
            ValueError: for input that cannot be segmented, in one sentence; nothing was started.
            RunFailure: (a RuntimeError) where a run that was waited for failed or was cancelled; nothing was written.
        """
        job = segmentJob(volumeNode, model, roiNode, labels, recipe, segmentationNode, device, whole)
        run = self.autoSegment.segment(job, _withProgress(progressCallback), finishedCallback)
        if not waitForCompletion:
            return run
        self.autoSegment.wait(run)
        return run.segmentationNode

    def showSkipMap(self, run):
        """Show what a finished run with a budget did not look at, or less often than a run over every window.

        >>> logic.segment(volumeNode, model="hippocampus-mr", recipe={"budget": 0.4}, finishedCallback=logic.showSkipMap)

        Args:
            run: the SegmentRun, which callbacks get and `segment` returns where it does not wait.
        Returns:
            A vtkMRMLSegmentationNode of its own; None where every window was looked at.
        Raises:
            ValueError: where the volume was removed.
        """
        return self.autoSegment.showSkipMap(run)

    def segmentBatch(
        self, volumeNodes: Sequence, model: str, waitForCompletion: bool = True, finishedCallback=None, **arguments
    ):
        """Segment one volume after the other; one that fails does not stop the rest.

        >>> batch = logic.segmentBatch([volume1, volume2], model="hippocampus-mr")
        >>> batch.segmentationNodes, batch.errors       # lists as long as the input, None where there is nothing

        Args:
            volumeNodes: each as `volumeNode` of `segment`.
            model: as in `segment`.
            waitForCompletion: return only when all are done; else at once.
            finishedCallback: called once with the batch when all are done.
            arguments: roiNode, labels, recipe, device, whole, progressCallback as in `segment`.
        Returns:
            A SegmentBatch: segmentationNodes, errors, isFinished, cancel().
        """
        from MedNeXtSegmentLib.Segment.SegmentBatch import SegmentBatch

        onProgress = _withProgress(arguments.pop("progressCallback", None))
        batch = SegmentBatch(self.autoSegment, segmentJob((), model, **arguments), volumeNodes, onProgress, finishedCallback)
        return self._started(batch, waitForCompletion)

    def segmentSequence(self, sequenceNode, model: str, waitForCompletion: bool = True, finishedCallback=None, **arguments):
        """Segment every volume of a sequence; the result is a sequence of segmentations with the same index values.

        >>> batch = logic.segmentSequence(sequenceNode, model="hippocampus-mr")
        >>> batch.outputSequenceNode

        Args:
            sequenceNode: vtkMRMLSequenceNode of scalar volumes.
            model, waitForCompletion, finishedCallback, arguments: as in `segmentBatch`.
        Returns:
            A SequenceBatch: outputSequenceNode (vtkMRMLSequenceNode; a frame that failed is missing), errors, isFinished, cancel().
        Raises:
            ValueError: for a sequence of anything but scalar volumes.
        """
        from MedNeXtSegmentLib.Segment.SegmentBatch import SequenceBatch

        onProgress = _withProgress(arguments.pop("progressCallback", None))
        batch = SequenceBatch(self.autoSegment, segmentJob((), model, **arguments), sequenceNode, onProgress, finishedCallback)
        return self._started(batch, waitForCompletion)

    def _started(self, batch, waitForCompletion: bool):
        batch.start()
        if waitForCompletion:
            self.engine.wait(lambda: batch.isFinished)
        return batch


def segmentJob(volumeNode, *values, **arguments) -> "SegmentJob":
    """A SegmentJob of one volume node, or of a list of one for each channel; arguments as in `segment`."""
    from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob

    if "whole" in arguments:
        arguments["isWhole"] = arguments.pop("whole")
    return SegmentJob((), *values, **arguments).withVolume(volumeNode)


def _withProgress(callback: Callable | None) -> Callable | None:
    """The console's callbacks of `segment` take the Progress of a run rather than the run."""
    return None if callback is None else lambda run: callback(run.progress)
