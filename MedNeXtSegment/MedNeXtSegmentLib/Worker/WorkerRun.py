"""A request to the worker that takes a while: how far it is, how it ended, and the way to stop it."""

from collections.abc import Callable, Sequence

from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure


class WorkerRun:
    """What a logic gives back at once (see WorkerRunLogic); it fills while the event loop goes on.

    Args:
        worker: a WorkerClient, or an InProcessEngine where there is no Qt.
        nodes: what it needs; it ends when one of them goes.
        onProgress: called with the run after each report.
        onFinished: called once, with the run, when it is over.

    Attributes:
        progress: the last Progress; None before the first.
        error: a RunFailure where there is no result, else None.
        isFinished: whether it is over, in whatever way.
        isCancelRequested: whether `cancel` was called.
    """

    def __init__(
        self,
        worker,
        nodes: Sequence,
        onProgress: "Callable[[WorkerRun], None] | None" = None,
        onFinished: "Callable[[WorkerRun], None] | None" = None,
    ) -> None:
        self.nodes = tuple(nodes)
        self.progress: Progress | None = None
        self.error: RunFailure | None = None
        self.isFinished = self.isCancelRequested = False
        self._worker, self._onProgress, self._onFinished = worker, onProgress, onFinished
        self._requestId: int | None = None

    @property
    def fraction(self) -> float:
        """Done share in [0, 1]."""
        return 0.0 if self.progress is None else self.progress.fraction

    def ask(self, operation: str, parameters: dict, onResult: Callable[[dict], None], onError: Callable) -> None:
        """Send a request, the run's first or next one; an answer that comes after the run's end goes nowhere.

        Args:
            operation, parameters: as in WorkerClient.request.
            onResult: called with the value.
            onError: called with a RunFailure.
        Raises:
            ValueError, RuntimeError: where it cannot be sent.
        """
        self._requestId = None
        self._requestId = self._worker.request(
            operation,
            parameters,
            onResult=lambda value: None if self.isFinished else onResult(value),
            onError=lambda failure: None if self.isFinished else onError(failure),
            onProgress=lambda phase, fraction, secondsLeft: self.onWorkerProgress(Progress(phase, fraction, secondsLeft)),
        )

    def cancel(self) -> None:
        """Ask for the run to be stopped; it is over when the worker has stopped, at its next window. Nothing is written."""
        if not self.isFinished and not self.isCancelRequested:
            self.isCancelRequested = True
            self._worker.cancel(self._requestId)

    def onWorkerProgress(self, progress: Progress) -> None:
        """From the worker."""
        self.reportProgress(progress)

    def reportProgress(self, progress: Progress) -> None:
        """Keep a report and pass it on, unless the run is over."""
        if not self.isFinished:
            self.progress = progress
            if self._onProgress is not None:
                self._onProgress(self)

    def finish(self, error: RunFailure | None = None) -> None:
        """End the run, once; later calls do nothing. What the worker still computes for it is stopped and not waited for."""
        if self.isFinished:
            return
        self.isFinished, self.error = True, error
        if error is not None and not self.isCancelRequested:
            self._worker.cancel(self._requestId)
        if self._onFinished is not None:
            self._onFinished(self)
