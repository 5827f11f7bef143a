"""One change of the library of models, from the caller's side."""

from collections.abc import Callable

from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class ModelsRun(WorkerRun):
    """Given back by ModelsLogic.

    Attributes:
        answer: of the operation, see mednextseg.worker.operations.models; empty before the end.
        progress, error, isFinished: see WorkerRun; after an error nothing has changed.
    """

    def __init__(
        self,
        worker,
        onProgress: "Callable[[ModelsRun], None] | None" = None,
        onFinished: "Callable[[ModelsRun], None] | None" = None,
    ) -> None:
        super().__init__(worker, (), onProgress, onFinished)
        self.answer: dict = {}
