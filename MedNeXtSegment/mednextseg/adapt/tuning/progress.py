"""How far an adaptation is: stages, steps, seconds left, losses; and the way to stop it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mednextseg.errors import Cancelled


@dataclass(frozen=True)
class TuningState:
    """One report.

    Attributes:
        stage: for people.
        step, steps: of the training that runs; of all trainings together: `fraction`, and `seconds_left` (None while unknown).
        loss: of the last step; None between trainings.
    """

    stage: str
    step: int = 0
    steps: int = 0
    fraction: float = 0.0
    seconds_left: float | None = None
    loss: float | None = None


TuningReport = Callable[[TuningState], None]


class TuningProgress:
    """Counts the steps of several trainings as one.

    Args:
        report: receives every TuningState.
        cancelled: returns True once the caller wants to stop.
    """

    def __init__(self, report: TuningReport, cancelled: Callable[[], bool] | None) -> None:
        self._report, self._cancelled = report, cancelled
        self._stage, self._training = "", ""
        self._steps, self._trainings, self._begun = 0, 0, 0
        self._done_here, self._started = 0, time.monotonic()
        self._last_step = 0

    def begin(self, steps: int, trainings: int) -> None:
        """The budget is settled: so many trainings of so many steps."""
        self._steps, self._trainings = steps, trainings
        self.stage(f"{trainings} training{'s' if trainings > 1 else ''} of {steps} steps")

    def training(self, name: str) -> None:
        """A training begins."""
        self._begun += 1
        self._training = f"training {min(self._begun, self._trainings)} of {self._trainings}"
        self._last_step = 0
        self.stage(self._training)

    def skip_training(self) -> None:
        """A training was finished by an earlier run."""
        self._begun += 1

    def stage(self, stage: str) -> None:
        """Something else than a step begins."""
        self._stage = stage
        self._check()
        self._report(TuningState(stage, fraction=self._fraction(0), steps=self._steps))

    def step(self, step: int, steps: int, loss: float) -> None:
        """A step is done; the first of a resumed training has a higher number than 1."""
        if self._done_here == 0:
            self._started = time.monotonic()
        self._done_here += 1
        fraction, left = self._fraction(step), self._steps_left(step)
        spent = time.monotonic() - self._started
        seconds_left = left * spent / (self._done_here - 1) if self._done_here > 1 else None
        self._report(TuningState(self._training, step, steps, fraction, seconds_left, loss))
        self._check()

    def cancelled(self) -> bool:
        """Whether the caller asked to stop."""
        return self._cancelled is not None and self._cancelled()

    def _fraction(self, step: int) -> float:
        if not self._steps:
            return 0.0
        return 1 - self._steps_left(step) / (self._trainings * self._steps)

    def _steps_left(self, step: int) -> int:
        begun = min(max(self._begun, 1), self._trainings)
        return (self._trainings - begun + 1) * self._steps - step

    def _check(self) -> None:
        if self.cancelled():
            raise Cancelled("The adaptation was stopped; the same request goes on from here.")
