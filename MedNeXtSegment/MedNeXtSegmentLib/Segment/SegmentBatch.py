"""Many automatic runs, one after the other: over volume nodes, and over the frames of a sequence."""

from collections.abc import Callable, Sequence

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Segment.SegmentLogic import SegmentLogic
from MedNeXtSegmentLib.Segment.SegmentRun import SegmentRun
from MedNeXtSegmentLib.Worker.RunFailure import runCancelled


class SegmentBatch:
    """Runs over a list of volumes; a case that fails is recorded and does not stop the rest.

    Args:
        logic: starts the runs.
        job: what is asked for, apart from its volumes.
        volumeNodes: one case each (a node, or a list of nodes for models of several channels).
        onProgress: called with each run after each report.
        onFinished: called once, with this batch.

    Attributes:
        segmentationNodes, errors: as long as volumeNodes; None where there is no result, no error.
        isFinished: whether every case was tried, or the batch was cancelled.
    """

    def __init__(
        self,
        logic: SegmentLogic,
        job: SegmentJob,
        volumeNodes: Sequence,
        onProgress: Callable[[SegmentRun], None] | None = None,
        onFinished: "Callable[[SegmentBatch], None] | None" = None,
    ) -> None:
        self.volumeNodes = list(volumeNodes)
        self.segmentationNodes: list = [None] * len(self.volumeNodes)
        self.errors: list[Exception | None] = [None] * len(self.volumeNodes)
        self.isFinished = False
        self._logic, self._job, self._onProgress, self._onFinished = logic, job, onProgress, onFinished
        self._run: SegmentRun | None = None
        self._number = -1

    def start(self) -> None:
        """Begin with the first case."""
        self._next()

    def cancel(self) -> None:
        """Stop the case that is running and begin no other; finished ones stay."""
        for number in range(self._number + 1, len(self.volumeNodes)):
            self.errors[number] = runCancelled()
        self._number = max(self._number, len(self.volumeNodes))
        if self._run is not None:
            self._run.cancel()

    def _next(self) -> None:
        self._number += 1
        if self._number >= len(self.volumeNodes):
            self.isFinished = True
            self._finish()
            return
        number = self._number
        try:
            job = self._job.withVolume(self._caseNode(number))
            self._run = self._logic.segment(job, self._onProgress, lambda run: self._caseFinished(number, run))
        except (ValueError, RuntimeError) as error:
            self.errors[number] = error
            self._next()

    def _caseFinished(self, number: int, run: SegmentRun) -> None:
        self._run = None
        if run.error is not None:
            self.errors[number] = run.error
        else:
            self._keep(number, run)
        self._next()

    def _caseNode(self, number: int):
        return self.volumeNodes[number]

    def _keep(self, number: int, run: SegmentRun) -> None:
        self.segmentationNodes[number] = run.segmentationNode

    def _finish(self) -> None:
        if self._onFinished is not None:
            self._onFinished(self)


class SequenceBatch(SegmentBatch):
    """Runs over the frames of a sequence; each frame is in the scene only while it is worked on.

    Args:
        logic, job, onProgress, onFinished: as above.
        sequenceNode: vtkMRMLSequenceNode of scalar volumes.

    Attributes:
        outputSequenceNode: vtkMRMLSequenceNode of segmentations, with the index values of the frames.
    Raises:
        ValueError: for a sequence of anything but scalar volumes.
    """

    def __init__(
        self,
        logic: SegmentLogic,
        job: SegmentJob,
        sequenceNode,
        onProgress: Callable[[SegmentRun], None] | None = None,
        onFinished: "Callable[[SequenceBatch], None] | None" = None,
    ) -> None:
        frames = [sequenceNode.GetNthDataNode(n) for n in range(sequenceNode.GetNumberOfDataNodes())]
        if not frames or not all(frame.IsA("vtkMRMLScalarVolumeNode") for frame in frames):
            text = _("{name} is no sequence of scalar volumes; pick a sequence of CT or MR volumes.")
            raise ValueError(text.format(name=repr(sequenceNode.GetName())))
        super().__init__(logic, job, frames, onProgress, onFinished)
        self._sequenceNode = sequenceNode
        self._frameNode = None
        name = slicer.mrmlScene.GenerateUniqueName(_("{name} segmentation").format(name=sequenceNode.GetName()))
        self.outputSequenceNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
        self.outputSequenceNode.SetIndexName(sequenceNode.GetIndexName())
        self.outputSequenceNode.SetIndexUnit(sequenceNode.GetIndexUnit())
        self.outputSequenceNode.SetIndexType(sequenceNode.GetIndexType())

    def _caseNode(self, number: int):
        """A hidden copy of the frame in the scene, where transforms and segmentations can refer to it."""
        self._removeFrameNode()
        frame = self.volumeNodes[number]
        self._frameNode = slicer.mrmlScene.AddNewNodeByClass(frame.GetClassName(), frame.GetName() or "frame")
        self._frameNode.SetHideFromEditors(True)
        self._frameNode.CopyContent(frame, False)  # shares the voxels
        return self._frameNode

    def _keep(self, number: int, run: SegmentRun) -> None:
        self.outputSequenceNode.SetDataNodeAtValue(run.segmentationNode, self._sequenceNode.GetNthIndexValue(number))
        self.segmentationNodes[number] = self.outputSequenceNode.GetNthDataNode(
            self.outputSequenceNode.GetNumberOfDataNodes() - 1
        )
        display = run.segmentationNode.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(run.segmentationNode)
        slicer.mrmlScene.RemoveNode(display)

    def _finish(self) -> None:
        self._removeFrameNode()
        super()._finish()

    def _removeFrameNode(self) -> None:
        if self._frameNode is not None and slicer.mrmlScene.IsNodePresent(self._frameNode):
            slicer.mrmlScene.RemoveNode(self._frameNode)
        self._frameNode = None
