"""The slices of a volume to review, where a model was least sure. No widgets; the worker computes."""

from collections.abc import Callable

from mednextseg.models.library import find_model
from mednextseg.models.model_card import read_card
from MedNeXtSegmentLib.Review.ReviewRun import ReviewRun, ReviewSlice
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Volumes import channelsOf, volumeKey
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic

SLICES_LISTED = 20
# Neighboring slices are unsure in the same places.
GAP_MM = 3.0


class ReviewLogic(WorkerRunLogic):
    """Asks for the slices most worth a look, so that Slicer stays responsive and a run can be stopped."""

    def review(
        self,
        volumeNode,
        model: str,
        roiNode=None,
        recipe: dict | None = None,
        device: str = "auto",
        count: int = SLICES_LISTED,
        progressCallback: Callable[[ReviewRun], None] | None = None,
        finishedCallback: Callable[[ReviewRun], None] | None = None,
    ) -> ReviewRun:
        """Start; arguments as MedNeXtSegmentLogic.reviewSlices.

        Raises:
            ValueError: for nodes, a model or a region that cannot be used, in one sentence; nothing was started.
        """
        volumeNodes = list(volumeNode) if isinstance(volumeNode, (list, tuple)) else [volumeNode]
        card = read_card(find_model(model))
        volumes = channelsOf(volumeNodes, card)
        region = None if roiNode is None else regionFromROINode(roiNode)
        if region is not None:
            region.index_bounds(volumes[0][1])
        keys = [volumeKey(node, geometry) for node, (_array, geometry) in zip(volumeNodes, volumes, strict=True)]
        parameters = {
            "volumes": keys,
            "model": str(model),
            "roi": None if region is None else region.to_dict(),
            "recipe": recipe or {},
            "device": device,
            "count": count,
            "gap_mm": GAP_MM,
        }
        handle: list[int] = []
        run = ReviewRun(volumeNodes, card, lambda: self._cancelRequests(handle), progressCallback, finishedCallback)
        for key, (volume_kji, geometry) in zip(keys, volumes, strict=True):
            self._worker.shareVolume(key, volume_kji, geometry)
        handle.append(
            self._worker.request(
                "review_slices",
                parameters,
                onResult=lambda value: self._onResult(run, value),
                onError=lambda error: self._onError(run, error),
                onProgress=lambda _phase, fraction, _left: run.reportProgress(fraction),
            )
        )
        self.runs.append(run)
        return run

    def _onResult(self, run: ReviewRun, value: dict) -> None:
        if run.isFinished:
            return
        run.slices = [
            ReviewSlice(found["label"], tuple(found["center_ras"]), found["uncertain_mm2"], found["segment_mm2"])
            for found in value["slices"]
        ]
        self._end(run)
