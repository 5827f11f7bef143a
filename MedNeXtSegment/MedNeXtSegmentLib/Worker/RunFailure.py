"""What a request to the worker, and the run that waits for it, end with where there is no result."""

from slicer.i18n import tr as _

from mednextseg.worker import protocol

_WORKER_FAILURES = (protocol.WORKER_NOT_STARTED, protocol.WORKER_CRASHED, protocol.WORKER_HUNG, protocol.WORKER_STOPPED)


class RunFailure(RuntimeError):  # noqa: N818  (cancelling is a failure too, but no error)
    """Why there is no result: handed to callbacks, and raised by calls that wait.

    Args:
        code: as in mednextseg.worker.protocol, for programs.
        message: one sentence, for people.
        hint: what to do next; may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.code, self.message, self.hint = code, message, hint

    @property
    def isWorkerFailure(self) -> bool:
        """Whether the process failed rather than the request: all pending requests then get this same failure."""
        return self.code in _WORKER_FAILURES


def runCancelled() -> RunFailure:
    """The end of a run that somebody stopped."""
    return RunFailure(protocol.CANCELLED, _("The run was cancelled."))
