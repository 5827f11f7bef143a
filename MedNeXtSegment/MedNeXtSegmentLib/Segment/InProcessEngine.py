"""Runs the engine inside the calling process: for scripts and tests on slicer-core, where there is no Qt and so no worker process.

The Slicer application never uses it: torch stays out of its process.
"""

from collections.abc import Callable

import numpy as np

from mednextseg.errors import Cancelled
from mednextseg.geometry import Geometry
from mednextseg.segment.progress import Progress
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled


class InProcessEngine:
    """Answers the operation "segment" as a WorkerClient does, but before `request` returns."""

    def __init__(self) -> None:
        self._volumes: dict[str, tuple[np.ndarray, Geometry]] = {}
        self._isCancelled = False

    def shareVolume(self, key: str, volume_kji: np.ndarray, geometry: Geometry) -> None:
        """As WorkerClient.shareVolume; kept for the next request."""
        self._volumes[key] = (volume_kji, geometry)

    def request(
        self,
        operation: str,
        parameters: dict,
        onResult: Callable[[dict], None],
        onError: Callable[[RunFailure], None],
        onProgress: Callable[[str, float, float | None], None],
    ) -> None:
        """As WorkerClient.request, for "segment" alone; every callback is called from inside.

        Raises:
            ValueError: for another operation.
        """
        if operation != "segment":
            raise ValueError(f"{operation!r} needs a worker process; only 'segment' is computed in this one.")
        self._isCancelled = False
        try:
            value = self._segmented(parameters, lambda p: onProgress(p.phase, p.fraction, p.seconds_left))
        except Cancelled:
            onError(runCancelled())
        except ValueError as error:
            onError(RunFailure(protocol.INVALID_INPUT, str(error)))
        except MemoryError as error:
            onError(RunFailure(protocol.OUT_OF_MEMORY, str(error)))
        else:
            onResult(value)

    def cancel(self, _requestId: int | None = None) -> None:
        """Stop what is being computed, at its next window."""
        self._isCancelled = True

    def wait(self, isOver: Callable[[], bool]) -> None:
        """Nothing to wait for: a run is over when `request` returns."""

    def _segmented(self, parameters: dict, onProgress: Callable[[Progress], None]) -> dict:
        from mednextseg.cases.channels import stacked_channels
        from mednextseg.models.loaded_model import load_model
        from mednextseg.segment.find_and_segment import find_and_segment
        from mednextseg.segment.recipe import SegmentRecipe

        shared, self._volumes = self._volumes, {}
        volume, geometry = stacked_channels([shared[key] for key in parameters["volumes"]])
        roi = parameters["roi"]
        labelmap_kji, report = find_and_segment(
            volume,
            geometry,
            load_model(parameters["model"]),
            None if roi is None else RegionOfInterest.from_dict(roi),
            parameters["labels"],
            SegmentRecipe.from_dict(parameters["recipe"]),
            parameters["device"],
            onProgress,
            lambda: self._isCancelled,
            parameters["whole"],
        )
        answer = {"labelmap": labelmap_kji, "report": report.to_dict()}
        return answer | ({"skip_map": report.skip_map_kji(geometry)} if report.has_skipped else {})
