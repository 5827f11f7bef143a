"""What a request to the worker ends with when it has no result."""

from dataclasses import dataclass

from mednextseg.worker import protocol

_WORKER_FAILURES = (protocol.WORKER_NOT_STARTED, protocol.WORKER_CRASHED, protocol.WORKER_HUNG, protocol.WORKER_STOPPED)


@dataclass(frozen=True)
class WorkerError:
    """Why a request has no result.

    Attributes:
        code: of mednextseg.worker.protocol, for programs.
        message: one sentence, for people.
        hint: what to do next; may be empty.
    """

    code: str
    message: str
    hint: str = ""

    @property
    def isWorkerFailure(self) -> bool:
        """Whether the process failed rather than the request: all pending requests then get this same error."""
        return self.code in _WORKER_FAILURES

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()
