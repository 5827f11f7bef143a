"""The requests that wait for the device, and the one that has it, or two: a prompt may come between the windows of a long run."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from mednextseg.worker.protocol import CANCELLED, SUPERSEDED, ProtocolError, Request


@dataclass(eq=False)
class Job:
    """A request on its way.

    Attributes:
        latest_wins_key: a newer job of the same key takes the place of this one while it waits; None for jobs that must all run.
        is_short: whether a long job may be interrupted for this one.
    """

    request: Request
    latest_wins_key: tuple[str, str] | None = None
    is_short: bool = False
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def id(self) -> int | None:
        return self.request.id

    def cancel(self) -> None:
        self._cancelled.set()

    def cancelled(self) -> bool:
        """Whether the client asked to stop; operations ask between windows."""
        return self._cancelled.is_set()


class RequestQueue:
    """First in, first out, except that prompts are latest-wins. Filled by the reader thread, emptied by the device thread.

    Args:
        dropped: called with a waiting job and the reason when it leaves without having run.
    """

    def __init__(self, dropped: Callable[[Job, ProtocolError], None]) -> None:
        self._dropped = dropped
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Add a job; waiting ones of the same latest-wins key are dropped."""
        with self._changed:
            key = job.latest_wins_key
            superseded = [other for other in self._waiting if key is not None and other.latest_wins_key == key]
            self._waiting = [other for other in self._waiting if other not in superseded] + [job]
            self._changed.notify()
        for other in superseded:
            self._dropped(other, ProtocolError(SUPERSEDED, "A newer prompt took the place of this one."))

    def next(self, idle: Callable[[], None], idle_after_s: float = 30.0) -> Job:
        """The oldest waiting job, which now runs; waits for one, and calls `idle` once when that takes long."""
        with self._changed:
            if not self._waiting and not self._changed.wait_for(lambda: self._waiting, idle_after_s):
                idle()
            self._changed.wait_for(lambda: self._waiting)
            self._running.append(self._waiting.pop(0))
            return self._running[-1]

    def next_short(self) -> Job | None:
        """The oldest waiting short job, which now runs in between; None where none waits."""
        with self._changed:
            job = next((job for job in self._waiting if job.is_short), None)
            if job is not None:
                self._waiting.remove(job)
                self._running.append(job)
            return job

    def finished(self, job: Job) -> None:
        """A job has been answered."""
        with self._changed:
            self._running.remove(job)

    def cancel(self, request_id: int) -> None:
        """Drop a waiting job, or ask the running one to stop; a request that is not here was answered before."""
        with self._changed:
            found = [job for job in self._waiting if job.id == request_id]
            self._waiting = [job for job in self._waiting if job not in found]
            for job in self._running:
                if job.id == request_id:
                    job.cancel()
        for job in found:
            self._dropped(job, ProtocolError(CANCELLED, "The request was cancelled before it began."))
