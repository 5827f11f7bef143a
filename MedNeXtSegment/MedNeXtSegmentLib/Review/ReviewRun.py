"""Slices to review, from the caller's side: which ones, and how the search ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mednextseg.models.model_card import ModelCard
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


@dataclass(frozen=True)
class ReviewSlice:
    """One slice of one segment.

    Attributes:
        segmentName: as the model names it.
        centerRAS: where the model is least sure, world RAS in mm.
        uncertainMm2: so much of the slice is as good as undecided (entropy in bits, summed).
        segmentMm2: the segment's expected area in the slice.
    """

    segmentName: str
    centerRAS: tuple[float, float, float]
    uncertainMm2: float
    segmentMm2: float


class ReviewRun(WorkerRun):
    """Given back by ReviewLogic.review.

    Attributes:
        nodes: the volume of each channel.
        card: of the model.
        slices: ReviewSlice, most uncertain first; empty before the end.
        fraction, error, isFinished: see WorkerRun.
    """

    def __init__(
        self,
        worker,
        volumeNodes: Sequence,
        card: ModelCard,
        onProgress: "Callable[[ReviewRun], None] | None",
        onFinished: "Callable[[ReviewRun], None] | None",
    ) -> None:
        super().__init__(worker, volumeNodes, onProgress, onFinished)
        self.card = card
        self.slices: list[ReviewSlice] = []
