"""What logics that ask the worker have in common: they keep their runs, and end them when asked or when their nodes go."""

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.worker import protocol
from MedNeXtSegmentLib.Segment.SegmentEngine import RunFailure
from MedNeXtSegmentLib.Worker.RunFailure import WorkerError
from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class WorkerRunLogic(VTKObservationMixin):
    """Keeps the runs that the worker has been asked for.

    Args:
        worker: computes; shared with whatever else asks it.

    Attributes:
        runs: those that are not over.
    """

    def __init__(self, worker: WorkerClient) -> None:
        VTKObservationMixin.__init__(self)
        self._worker = worker
        self.runs: list[WorkerRun] = []
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodesChanged)
        self.addObserver(scene, scene.EndCloseEvent, self._onNodesChanged)

    def close(self) -> None:
        """End all runs and observe nothing any more."""
        for run in list(self.runs):
            self.cancel(run)
        self.removeObservers()

    def cancel(self, run: WorkerRun) -> None:
        """End a run now."""
        self._end(run, RunFailure(protocol.CANCELLED, _("The run was cancelled.")))

    def wait(self, run: WorkerRun) -> None:
        """Return when the run is over, while the event loop goes on.

        Raises:
            RunFailure: (a RuntimeError) where it did not come to its end.
        """
        self._worker.wait(lambda: run.isFinished)
        if run.error is not None:
            raise run.error

    def _cancelRequests(self, handle: list[int]) -> None:
        for requestId in handle:
            self._worker.cancel(requestId)

    def _onError(self, run: WorkerRun, error: WorkerError) -> None:
        self._end(run, RunFailure(error.code, error.message, error.hint))

    def _end(self, run: WorkerRun, failure: RunFailure | None = None) -> None:
        if run in self.runs:
            self.runs.remove(run)
        run.finish(failure)

    def _onNodesChanged(self, caller=None, event=None) -> None:
        for run in list(self.runs):
            missing = [node.GetName() for node in run.nodes if not slicer.mrmlScene.IsNodePresent(node)]
            if missing:
                text = _("{name} was removed during the run.").format(name=missing[0])
                self._end(run, RunFailure(protocol.CANCELLED, text))
