"""How far a run is: phases, a fraction, an estimate of the time left, and the way to stop it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mednextseg.errors import Cancelled

# Shares of the whole wait, measured on CPU runs where the network dominates; only the progress bar depends on them.
_PHASE_SHARES = {"read": 0.02, "prepare": 0.05, "network": 0.86, "clean up": 0.05, "write": 0.02}


@dataclass(frozen=True)
class Progress:
    """One report: phase name, done fraction of the whole run in [0, 1], seconds left (None while unknown)."""

    phase: str
    fraction: float
    seconds_left: float | None


class ProgressReporter:
    """Turns "phase p is f done" into reports over the whole run, checks for cancellation and times the phases.

    Args:
        callback: receives every Progress, or None.
        cancelled: returns True once the caller wants to stop.
    """

    def __init__(self, callback: Callable[[Progress], None] | None, cancelled: Callable[[], bool] | None) -> None:
        self._callback, self._cancelled = callback, cancelled
        self._started = time.monotonic()
        self._phase, self._phase_started = "", self._started
        self.seconds_by_phase: dict[str, float] = {}

    def report(self, phase: str, fraction_of_phase: float) -> None:
        """Report, and raise Cancelled where the caller asked to stop."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("The run was cancelled.")
        now = time.monotonic()
        if phase != self._phase:
            self._close_phase(now)
            self._phase, self._phase_started = phase, now
        if self._callback is not None:
            phases = list(_PHASE_SHARES)
            before = sum(_PHASE_SHARES[p] for p in phases[: phases.index(phase)])
            fraction = min(1.0, before + _PHASE_SHARES[phase] * fraction_of_phase)
            self._callback(Progress(phase, fraction, self._seconds_left(now, fraction_of_phase, fraction)))

    def finish(self) -> None:
        """Close the last phase's time."""
        self._close_phase(time.monotonic())

    def _close_phase(self, now: float) -> None:
        if self._phase:
            spent = self.seconds_by_phase.get(self._phase, 0.0) + now - self._phase_started
            self.seconds_by_phase[self._phase] = spent

    def _seconds_left(self, now: float, fraction_of_phase: float, fraction: float) -> float | None:
        """From the pace of the current phase, for itself and in proportion for what follows."""
        if fraction_of_phase <= 0:
            return None
        pace = (now - self._phase_started) / (fraction_of_phase * _PHASE_SHARES[self._phase])
        return pace * (1 - fraction)


class SharedProgress:
    """One progress over several runs, each of which reports as if it were alone; never goes back.

    Args:
        callback: receives every Progress of the whole, or None.
    """

    def __init__(self, callback: Callable[[Progress], None] | None) -> None:
        self._callback = callback
        self._started = time.monotonic()
        self._fraction = 0.0

    def part(self, start: float, stop: float, phase: str | None = None) -> Callable[[Progress], None] | None:
        """What to call with the progress of a run that takes the whole from one fraction to another, as one phase or by its own."""
        return None if self._callback is None else lambda progress: self._report(progress, start, stop, phase)

    def _report(self, progress: Progress, start: float, stop: float, phase: str | None) -> None:
        self._fraction = max(self._fraction, start + progress.fraction * (stop - start))
        spent = time.monotonic() - self._started
        seconds_left = spent * (1 - self._fraction) / self._fraction if self._fraction > 0 else None
        if self._callback is not None:
            self._callback(Progress(phase or progress.phase, self._fraction, seconds_left))
