"""Every method on every number of cases, each an adaptation of its own that resumes; the protocol of MedFMC (Wang et al., 2023)."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from mednextseg.adapt.tuning.adapt_model import adapt_model
from mednextseg.adapt.tuning.cases import OwnCase
from mednextseg.adapt.tuning.folds import fold_cases
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningReport, TuningState
from mednextseg.files import make_folder, write_text
from mednextseg.json_values import listed, read_json_object
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.tuning_choices import METHODS, choice_named

_CELL_FILE = "cell.json"
_USUAL = (1, 2, 5, 10)
_SHARE = 3  # of fewer than ten cases one in so many is kept for the figures


@dataclass(frozen=True)
class ShotCell:
    """One method on one number of cases.

    Attributes:
        cases: that were learned from; the same ones, and more, for larger numbers.
        seconds: of training, the median step times the steps, since others may use the machine meanwhile.
        megabytes: of the package's weights.
        before, after: label, or "mean" -> mean Dice over the held-out cases.
        change: of the mean Dice, with its 95 % interval.
    """

    method: str
    shots: int
    cases: tuple[str, ...]
    steps: int
    seconds: float
    megabytes: float
    before: dict[str, float]
    after: dict[str, float]
    change: tuple[float, float, float]
    verdict: str


def shot_curves(
    base: LoadedModel,
    cases: Sequence[OwnCase],
    folder: Path,
    shots: Sequence[int],
    methods: Sequence[str],
    options: TuningOptions,
    device: str = "cpu",
    report: TuningReport = lambda progress: None,
    cancelled: Callable[[], bool] | None = None,
) -> list[ShotCell]:
    """Adapt with every method on every number of cases; what an earlier call in the folder finished is not done again.

    Args:
        base, cases, device, report, cancelled: as for `adapt_model`.
        folder: gets a folder for each adaptation.
        shots: numbers of cases to learn from; none for 1, 2, 5 and 10, as far as there are cases.
        methods: names of models/tuning_choices.py.
        options: of every adaptation, but for its method; steps rather than minutes make them comparable.
    Raises:
        ValueError, OSError, RuntimeError, Cancelled: as `adapt_model`, and for a number of cases that there are not.
    """
    for method in methods:
        choice_named(method, "a method of the curves", METHODS)
    by_name = {case.name: case for case in cases}
    training, held_out = split_for_curves(list(by_name), options.held_out)
    shots = list(shots) or [count for count in _USUAL if count <= len(training)]
    if wrong := [count for count in shots if not 0 < count <= len(training)]:
        raise ValueError(
            f"there are {len(training)} cases to learn from, so {listed(wrong)} of them cannot be; give 1 to that."
        )
    order = [training[n] for n in np.random.default_rng(options.seed).permutation(len(training))]
    points = [(method, count) for count in sorted(set(shots)) for method in dict.fromkeys(methods)]
    cells = []
    for number, (method, count) in enumerate(points):
        place = make_folder(folder / f"{method}-{count:03d}")
        asked = replace(options, method=method, held_out=held_out)
        chosen = [by_name[name] for name in (*order[:count], *held_out)]
        clock = _StepClock(report, f"{method} on {count}", number, len(points))
        cells.append(_cell(base, chosen, place, count, asked, device, clock, cancelled))
    return cells


def split_for_curves(names: Sequence[str], held_out: Sequence[str] | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cases to learn from, and those that every point of the curves is measured on: the given ones, else a fifth of ten or more, else
    a third.

    Raises:
        ValueError: as `fold_cases`.
    """
    folds = fold_cases(names, held_out)
    if not folds.final_is_measured:
        kept = [name for number, name in enumerate(names) if number % _SHARE == _SHARE - 1] or [names[-1]]
        folds = fold_cases(names, kept)
    return folds.final, folds.parts[0].held_out


def _cell(
    base: LoadedModel,
    cases: Sequence[OwnCase],
    folder: Path,
    count: int,
    options: TuningOptions,
    device: str,
    clock: "_StepClock",
    cancelled: Callable[[], bool] | None,
) -> ShotCell:
    outcome = adapt_model(
        base, cases, folder, options, device, clock, cancelled
    )  # at once where it was finished, and checks what was asked
    if (folder / _CELL_FILE).is_file():
        return _from_dict(read_json_object(folder / _CELL_FILE))
    gate = outcome.gate
    change = gate.rows[-1].change["dice"]
    cell = ShotCell(
        method=options.method,
        shots=count,
        cases=tuple(case.name for case in cases[:count]),
        steps=outcome.steps,
        seconds=round(clock.step_seconds * outcome.steps, 2),
        megabytes=round(sum(file.stat().st_size for file in outcome.package.glob("*.safetensors")) / 1e6, 3),
        before={row.label: row.before["dice"].mean for row in gate.rows},
        after={row.label: row.after["dice"].mean for row in gate.rows},
        change=(change.mean, change.low, change.high),
        verdict=gate.verdict,
    )
    write_text(folder / _CELL_FILE, json.dumps(asdict(cell), indent=1, ensure_ascii=False) + "\n")
    return cell


def _from_dict(raw: dict) -> ShotCell:
    return ShotCell(**{**raw, "cases": tuple(raw["cases"]), "change": tuple(raw["change"])})


class _StepClock:
    """Passes reports on, under the name of the adaptation and as a part of all of them, and times its steps."""

    def __init__(self, report: TuningReport, name: str, number: int, count: int) -> None:
        self._report, self._name, self._number, self._count = report, name, number, count
        self._last: float | None = None
        self._seconds: list[float] = []

    def __call__(self, state: TuningState) -> None:
        now = time.monotonic()
        if state.loss is not None and self._last is not None:
            self._seconds.append(now - self._last)
        self._last = now if state.loss is not None else None
        fraction = (self._number + state.fraction) / self._count
        self._report(replace(state, stage=f"{self._name}: {state.stage}", fraction=fraction, seconds_left=None))

    @property
    def step_seconds(self) -> float:
        """The median; 0 where nothing was trained."""
        return median(self._seconds) if self._seconds else 0.0
