"""An adaptation from end to end, in one place: a base, cases and a folder -> a package, and the gate's word on it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mednextseg.adapt.locked_folder import locked
from mednextseg.adapt.tuning.adaptation import Adaptation
from mednextseg.adapt.tuning.adaptation_run import AdaptationRun
from mednextseg.adapt.tuning.cases import OwnCase
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningProgress, TuningReport
from mednextseg.adapt.tuning.settings.tuned_run import TunedRun
from mednextseg.models.adaptable import why_not_adapted
from mednextseg.models.loaded_model import LoadedModel

__all__ = ["Adaptation", "adapt_model", "check_base"]


def adapt_model(
    base: LoadedModel,
    cases: Sequence[OwnCase],
    folder: Path,
    options: TuningOptions | None = None,
    device: str = "cpu",
    report: TuningReport = lambda progress: None,
    cancelled: Callable[[], bool] | None = None,
) -> Adaptation:
    """Teach a model a few cases, and measure whether it got better on cases that it did not learn from.

    The same call in the same folder goes on where an earlier one was stopped, and returns at once where that was finished.

    Args:
        base: one network of volumes; channels, grid, spacing, intensities and patch stay its own.
        cases: at least two.
        folder: for checkpoints, curves, results and the package.
        options: method, budget, names.
        device: a torch device name.
        report: called with a TuningProgress after each step and between the stages.
        cancelled: asked after each step and each window; True stops, and the checkpoint is saved.
    Raises:
        ValueError, OSError, RuntimeError: in one sentence, for a base, cases, labels or a folder that cannot be used.
        Cancelled: where the caller stopped.
    """
    check_base(base)
    with locked(folder) as place:
        wanted = options or TuningOptions()
        kind = TunedRun if wanted.method == "settings" else AdaptationRun
        return kind(base, cases, place, wanted, device, TuningProgress(report, cancelled)).result()


def check_base(base: LoadedModel) -> None:
    """Raise ValueError, in one sentence, for a model that cannot be adapted."""
    if problem := why_not_adapted(base.card):
        raise ValueError(problem)
