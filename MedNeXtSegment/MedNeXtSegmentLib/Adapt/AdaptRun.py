"""An adaptation from the caller's side: how far it is, and what came out."""

from collections.abc import Callable
from pathlib import Path

from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class AdaptRun(WorkerRun):
    """Given back by AdaptLogic.adapt. It holds no nodes: the worker has copies of the cases, so that it goes on when their scene is closed.

    Attributes:
        folder: of the adaptation; another one of the same cases there goes on where this one stopped.
        outcome: fields of mednextseg.adapt.tuning.adapt_model.Adaptation, and "table" as text; None before the end.
        progress, fraction, error, isFinished: see WorkerRun; `progress.phase` has the step and its loss.
    """

    def __init__(
        self,
        worker,
        folder: Path,
        onProgress: "Callable[[AdaptRun], None] | None",
        onFinished: "Callable[[AdaptRun], None] | None",
    ) -> None:
        super().__init__(worker, (), onProgress, onFinished)
        self.folder = folder
        self.outcome: dict | None = None

    @property
    def isAccepted(self) -> bool:
        """Whether the gate lets the new model take its base's place."""
        return self.outcome is not None and self.outcome["accepted"]

    @property
    def table(self) -> str:
        """The verdict and the gate's table; empty before the end."""
        return "" if self.outcome is None else f"{self.outcome['verdict']}\n{self.outcome['table']}"

    @property
    def package(self) -> Path | None:
        """Folder of the new model, which the Models tab can import; None before the end."""
        return None if self.outcome is None else Path(self.outcome["package"])
