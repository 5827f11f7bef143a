"""What every request to the worker that takes a while has for its caller: an end, once, and a way to stop it."""

from collections.abc import Callable, Sequence

from MedNeXtSegmentLib.Segment.SegmentEngine import RunFailure


class WorkerRun:
    """One request to the worker that takes a while.

    Args:
        nodes: what it needs; it ends when one of them goes.
        cancelRequest: stops what the worker does for this run.
        onFinished: called once, with the run, when it is over.

    Attributes:
        error: a RunFailure where the run did not come to its end, else None.
        isFinished: whether it is over, in whatever way.
    """

    def __init__(
        self, nodes: Sequence, cancelRequest: Callable[[], None], onFinished: "Callable[[WorkerRun], None] | None"
    ) -> None:
        self.nodes = nodes
        self.error: RunFailure | None = None
        self.isFinished = False
        self._cancelRequest, self._onFinished = cancelRequest, onFinished

    def finish(self, error: RunFailure | None = None) -> None:
        """End the run, once; later calls do nothing. What the worker still computes is not waited for."""
        if self.isFinished:
            return
        self.isFinished = True
        self.error = error
        if error is not None:
            self._cancelRequest()
        if self._onFinished is not None:
            self._onFinished(self)
