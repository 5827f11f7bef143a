"""Runs the engine inside the calling process: for scripts and tests on slicer-core, where there is no Qt and so no worker process.

The Slicer application never uses it: torch stays out of its process.
"""

from collections.abc import Callable

import numpy as np

from mednextseg.errors import Cancelled
from mednextseg.geometry import Geometry
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Segment.SegmentEngine import RunEvents, RunFailure, SegmentJob


class InProcessEngine:
    """Computes a job before `start` returns."""

    def start(self, job: SegmentJob, events: RunEvents) -> None:
        """Compute; every event comes from inside this call."""
        from mednextseg.cases.channels import stacked_channels

        try:
            volume, geometry = stacked_channels(job.volumes)
            labelmap_kji, report = segmentInProcess(
                volume,
                geometry,
                job.model,
                job.region,
                job.labels,
                job.recipe,
                job.device,
                progress=events.onProgress,
                cancelled=events.isCancelled,
            )
        except Cancelled:
            events.onFailed(RunFailure(protocol.CANCELLED, "The run was cancelled."))
        except ValueError as error:
            events.onFailed(RunFailure(protocol.INVALID_INPUT, str(error)))
        except MemoryError as error:
            events.onFailed(RunFailure(protocol.OUT_OF_MEMORY, str(error)))
        else:
            events.onFinished(labelmap_kji, report)

    def cancel(self, handle: object) -> None:
        """Nothing to do: the job asks RunEvents.isCancelled."""

    def wait(self, isOver: Callable[[], bool]) -> None:
        """Nothing to wait for: the job is over when `start` returns."""


def segmentInProcess(
    volume: np.ndarray,
    geometry: Geometry,
    model: str,
    region: RegionOfInterest | None,
    labels: list[str] | None,
    recipe: dict | None,
    device: str,
    progress: Callable | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, dict]:
    """One automatic run; arguments and result as `mednextseg.segment.auto_segmenter.segment`, the report as JSON-ready values."""
    from mednextseg.models.loaded_model import load_model
    from mednextseg.segment.auto_segmenter import segment
    from mednextseg.segment.recipe import SegmentRecipe

    segmentRecipe = SegmentRecipe.from_dict(recipe) if recipe else None
    labelmap_kji, report = segment(
        volume, geometry, load_model(model), region, labels, segmentRecipe, device, progress, cancelled
    )
    return labelmap_kji, report.to_dict()
