"""One automatic run from the caller's side: what it works on, how it goes, how it ended."""

from collections.abc import Callable

from mednextseg.models.model_card import ModelCard
from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Segment.SegmentEngine import RunFailure


class SegmentRun:
    """Given back by SegmentLogic.segment(waitForCompletion=False).

    Attributes:
        volumeNode: of the first channel.
        card: of the model.
        labelNames: of the labels to be written.
        segmentationNode: the output; for a new segmentation None until it is there.
        progress: the last Progress, None before the first.
        report: of the engine (SegmentReport as JSON values), once finished.
        error: a RunFailure where there is no result, else None.
        isFinished: whether the run is over, in whatever way.
    """

    def __init__(
        self,
        volumeNode,
        card: ModelCard,
        labelNames: list[str],
        segmentationNode,
        cancelInEngine: Callable[[], None],
        onProgress: Callable[[Progress], None] | None,
        onFinished: "Callable[[SegmentRun], None] | None",
    ) -> None:
        self.volumeNode = volumeNode
        self.card = card
        self.labelNames = labelNames
        self.segmentationNode = segmentationNode
        self.progress: Progress | None = None
        self.report: dict = {}
        self.error: RunFailure | None = None
        self.isFinished = False
        self.isCancelRequested = False
        self._cancelInEngine = cancelInEngine
        self._onProgress = onProgress
        self._onFinished = onFinished

    def cancel(self) -> None:
        """Ask the run to stop; it is over at once where nothing was begun, else at the next window. Nothing is written."""
        if not self.isFinished and not self.isCancelRequested:
            self.isCancelRequested = True
            self._cancelInEngine()

    def abandon(self, failure: RunFailure) -> None:
        """Stop and finish now, without waiting for the engine: its nodes are gone."""
        if not self.isFinished:
            self.cancel()
            self.finish(failure)

    def reportProgress(self, progress: Progress) -> None:
        """From the engine: pass it on, unless the run is over."""
        if not self.isFinished:
            self.progress = progress
            if self._onProgress is not None:
                self._onProgress(progress)

    def finish(self, error: RunFailure | None = None) -> None:
        """End the run, once; later calls do nothing."""
        if self.isFinished:
            return
        self.isFinished = True
        self.error = error
        if self._onFinished is not None:
            self._onFinished(self)
