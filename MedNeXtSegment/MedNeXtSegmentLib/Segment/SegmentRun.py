"""One automatic run from the caller's side: what it works on, how it goes, how it ended."""

from collections.abc import Callable

import numpy as np

from mednextseg.labels.label import Label
from MedNeXtSegmentLib.Scene.Volumes import placementOf
from MedNeXtSegmentLib.Segment.SegmentJob import SegmentJob
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class SegmentRun(WorkerRun):
    """Given back by MedNeXtSegmentLogic.segment(waitForCompletion=False).

    Attributes:
        job: what was asked for.
        volumeNode: of the first channel.
        card: of the model.
        labels: what was written; empty before the end.
        segmentationNode: the output; for a new segmentation None until it is there.
        report: of the engine (SegmentReport as JSON values), once finished.
        skipMap_kji: what was not looked at, or less often, on the volume's grid: uint8 numbers of SKIP_LABELS; None where every window was.
        skipMapNode: the segmentation that shows it, once somebody wanted to see it.
        placement: 4x4 from the volume's voxels to its own RAS, as it was when the run began.
        progress, error, isFinished: see WorkerRun.
    """

    def __init__(
        self,
        worker,
        job: SegmentJob,
        onProgress: "Callable[[SegmentRun], None] | None",
        onFinished: "Callable[[SegmentRun], None] | None",
    ) -> None:
        self.job, self.card = job, job.card
        self.volumeNode, self.segmentationNode = job.volumeNodes[0], job.segmentationNode
        self.labels: list[Label] = []
        self.report: dict = {}
        self.skipMap_kji: np.ndarray | None = None
        self.skipMapNode = None
        self.placement: np.ndarray = placementOf(self.volumeNode)
        nodes = [node for node in (self.volumeNode, self.segmentationNode) if node is not None]
        super().__init__(worker, nodes, onProgress, onFinished)
