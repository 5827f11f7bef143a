"""Automatic runs computed by the worker process: what the panel uses."""

from collections.abc import Callable

from mednextseg.segment.progress import Progress
from mednextseg.worker import protocol
from MedNeXtSegmentLib.Segment.SegmentEngine import RunEvents, RunFailure, SegmentJob
from MedNeXtSegmentLib.Worker.RunFailure import WorkerError
from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient


class WorkerSegmentEngine:
    """A SegmentEngine.

    Args:
        client: to the worker; shared with whatever else asks it.
    """

    def __init__(self, client: WorkerClient) -> None:
        self.client = client

    def start(self, job: SegmentJob, events: RunEvents) -> int | None:
        """Begin; every event comes later, from the event loop. None where the job could not be sent (onFailed was called)."""
        try:
            for key, (volume_kji, geometry) in zip(job.volumeKeys, job.volumes, strict=True):
                self.client.shareVolume(key, volume_kji, geometry)
            return self.client.request(
                "segment",
                _parameters(job),
                onResult=lambda value: events.onFinished(value["labelmap"], value["report"]),
                onError=lambda error: events.onFailed(_runFailure(error)),
                onProgress=lambda phase, fraction, left: events.onProgress(Progress(phase, fraction, left)),
            )
        except (ValueError, RuntimeError) as error:
            events.onFailed(RunFailure(protocol.INVALID_INPUT, str(error)))
            return None

    def cancel(self, handle: int | None) -> None:
        """Ask the job to stop; it then answers onFailed with the code "cancelled"."""
        if handle is not None:
            self.client.cancel(handle)

    def wait(self, isOver: Callable[[], bool]) -> None:
        """Return when isOver() is true, or nothing is pending any more; the event loop goes on."""
        self.client.wait(isOver)


def _parameters(job: SegmentJob) -> dict:
    region = job.region
    return {
        "volumes": list(job.volumeKeys),
        "model": job.model,
        "roi": None if region is None else region.to_dict(),
        "labels": job.labels,
        "recipe": job.recipe,
        "device": job.device,
    }


def _runFailure(error: WorkerError) -> RunFailure:
    return RunFailure(error.code, error.message, error.hint)
