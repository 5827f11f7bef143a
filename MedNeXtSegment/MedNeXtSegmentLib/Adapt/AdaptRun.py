"""An adaptation from the caller's side: how far it is, and what came out."""

from collections.abc import Callable
from pathlib import Path

from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from MedNeXtSegmentLib.Worker.WorkerRun import WorkerRun


class AdaptRun(WorkerRun):
    """Given back by AdaptLogic.adapt. It holds no nodes: the worker has copies of the cases, so that it goes on when their scene is closed.

    Attributes:
        folder: of the adaptation; another one of the same cases there goes on where this one stopped.
        outcome: fields of mednextseg.adapt.tuning.adapt_model.Adaptation, and "table" as text; of curves those of DrawnCurves in
            adapt/tuning/shots/drawn_curves.py; None before the end.
        registration: the PairRegistration that comes before the training, as long as it runs; else None.
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
        self.registration = None

    def cancel(self) -> None:
        """Ask for the run to be stopped; what was learned is saved first."""
        super().cancel()
        if self.registration is not None:
            self.registration.cancel()

    def finish(self, error: RunFailure | None = None) -> None:
        """End the run, and what is registered for it."""
        if self.registration is not None:
            self.registration.stop()
            self.registration = None
        super().finish(error)

    @property
    def isAccepted(self) -> bool:
        """Whether the gate lets the new model take its base's place."""
        return self.outcome is not None and self.outcome.get("accepted", False)

    @property
    def table(self) -> str:
        """The verdict and the gate's table, or that of the curves; empty before the end."""
        if self.outcome is None:
            return ""
        return "\n".join(self.outcome[part] for part in ("verdict", "table") if part in self.outcome)

    @property
    def package(self) -> Path | None:
        """Folder of the new model, which the Models tab can import; None before the end, and of curves."""
        return self._place("package")

    @property
    def page(self) -> Path | None:
        """The HTML page of curves; None before the end, and of one model."""
        return self._place("page")

    def _place(self, name: str) -> Path | None:
        return Path(self.outcome[name]) if self.outcome is not None and name in self.outcome else None
