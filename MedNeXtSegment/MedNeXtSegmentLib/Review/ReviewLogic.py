"""The slices of a volume to review, where a model was least sure. No widgets; the worker computes."""

from collections.abc import Callable

from MedNeXtSegmentLib.Review.ReviewRun import ReviewRun, ReviewSlice
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic

SLICES_LISTED = 20
# Neighboring slices are unsure in the same places.
GAP_MM = 3.0


class ReviewLogic(WorkerRunLogic):
    """Asks for the slices most worth a look, so that Slicer stays responsive and a run can be stopped."""

    def review(
        self,
        job,
        count: int = SLICES_LISTED,
        progressCallback: Callable[[ReviewRun], None] | None = None,
        finishedCallback: Callable[[ReviewRun], None] | None = None,
    ) -> ReviewRun:
        """Start.

        Args:
            job: the SegmentJob whose result is doubted; its labels and output do not matter.
            count: how many slices at most.
            progressCallback: called with the run after each report.
            finishedCallback: called once, with the run, when it is over.
        Raises:
            ValueError: for nodes, a model or a region that cannot be used, in one sentence; nothing was started.
            RuntimeError: where the disk has no room for a volume.
        """
        parameters = {**job.sentTo(self._worker), "count": count, "gap_mm": GAP_MM}
        run = ReviewRun(self._worker, job.volumeNodes, job.card, progressCallback, finishedCallback)
        self._begin(run, "review_slices", parameters, lambda value: self._deliver(run, value))
        return run

    def _deliver(self, run: ReviewRun, value: dict) -> None:
        run.slices = [
            ReviewSlice(found["label"], tuple(found["center_ras"]), found["uncertain_mm2"], found["segment_mm2"])
            for found in value["slices"]
        ]
        self._end(run)
