"""What logics that ask the worker have in common: they keep their runs, and end them when asked or when their nodes go."""

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.worker import protocol
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure, runCancelled
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class WorkerRunLogic(VTKObservationMixin):
    """Starts runs, and sees to it that each ends once.

    Args:
        worker: computes; a WorkerClient, shared with whatever else asks it, or an InProcessEngine where there is no Qt.

    Attributes:
        runs: those that are not over.
    """

    def __init__(self, worker) -> None:
        VTKObservationMixin.__init__(self)
        self._worker = worker
        self.runs: list[WorkerRun] = []
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.EndCloseEvent, self._onNodesChanged)

    def close(self) -> None:
        """End all runs and observe nothing any more."""
        for run in list(self.runs):
            self.abandon(run)
        self.removeObservers()

    def abandon(self, run: WorkerRun) -> None:
        """End a run now, without waiting for the worker to stop; `run.cancel()` waits."""
        self._end(run, runCancelled())

    def wait(self, run: WorkerRun) -> None:
        """Return when the run is over, while the event loop goes on.

        Raises:
            RunFailure: (a RuntimeError) where it did not come to its end.
        """
        self._worker.wait(lambda: run.isFinished)
        if run.error is not None:
            raise run.error

    def _begin(self, run: WorkerRun, operation: str, parameters: dict, onResult: Callable[[dict], None]) -> None:
        """Send a run's first request.

        Raises:
            ValueError, RuntimeError: where it cannot be sent; then there is no run, and nobody is told of its end.
        """
        self.runs.append(run)  # first: a worker in this process computes inside the request
        try:
            self._ask(run, operation, parameters, onResult)
        except (ValueError, RuntimeError):
            self.runs = [other for other in self.runs if other is not run]
            raise

    def _ask(self, run: WorkerRun, operation: str, parameters: dict, onResult: Callable[[dict], None]) -> None:
        """Send a request of a run; an error that answers it ends the run. Raises as `_begin`."""
        run.ask(operation, parameters, onResult, lambda failure: self._end(run, failure))

    def _end(self, run: WorkerRun, failure: RunFailure | None = None) -> None:
        if run in self.runs:
            self.runs.remove(run)
        run.finish(failure)

    def _onNodesChanged(self, caller=None, event=None) -> None:
        for run in list(self.runs):
            missing = [node.GetName() for node in run.nodes if not slicer.mrmlScene.IsNodePresent(node)]
            if missing:
                text = _("{name} was removed during the run; nothing was written.").format(name=missing[0])
                self._end(run, RunFailure(protocol.CANCELLED, text))
