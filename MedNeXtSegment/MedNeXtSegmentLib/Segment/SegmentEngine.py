"""What an automatic run asks of whatever computes it: the worker process, or this process in scripts without Qt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.progress import Progress
from mednextseg.segment.roi import RegionOfInterest


class RunFailure(RuntimeError):  # noqa: N818  (cancelling is a failure too, but no error)
    """Why a run gave no result.

    Args:
        code: as in mednextseg.worker.protocol, for programs.
        message: one sentence, for people.
        hint: what to do next; may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.code = code


@dataclass(frozen=True)
class SegmentJob:
    """One automatic run.

    Attributes:
        volumes: (K, J, I) array and Geometry in world RAS of each channel, in the model's order.
        volumeKeys: one for each channel; the same key means the same voxels at the same place.
        model: id or folder.
        region: where to label; None for the whole volume.
        labels: names to keep; None for all.
        recipe: fields of mednextseg.segment.recipe.SegmentRecipe.
        device: "auto", "cpu", "cuda:N" or "mps".
    """

    volumes: tuple[tuple[np.ndarray, Geometry], ...]
    volumeKeys: tuple[str, ...]
    model: str
    region: RegionOfInterest | None
    labels: list[str] | None
    recipe: dict
    device: str


@dataclass(frozen=True)
class RunEvents:
    """What an engine tells about a job: progress any number of times, then one of the other two, once.

    Attributes:
        onProgress: a Progress.
        onFinished: the labelmap (K, J, I) on the first channel's grid, and the report as JSON values.
        onFailed: a RunFailure.
        isCancelled: asked by engines that compute inside `start`.
    """

    onProgress: Callable[[Progress], None]
    onFinished: Callable[[np.ndarray, dict], None]
    onFailed: Callable[[RunFailure], None]
    isCancelled: Callable[[], bool]


class SegmentEngine(Protocol):
    """Computes jobs."""

    def start(self, job: SegmentJob, events: RunEvents) -> object:
        """Begin; returns what `cancel` takes."""

    def cancel(self, handle: object) -> None:
        """Ask a job to stop; it then answers onFailed with the code "cancelled"."""

    def wait(self, isOver: Callable[[], bool]) -> None:
        """Return when isOver() is true, letting the job go on."""
