"""Every method on every number of cases, each an adaptation of its own that resumes; the protocol of MedFMC (Wang et al., 2023)."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from mednextseg.adapt.tuning.adapt_model import Adaptation, adapt_model
from mednextseg.adapt.tuning.cases import OwnCase
from mednextseg.adapt.tuning.evidence import joined
from mednextseg.adapt.tuning.folds import Fold, Folds, fold_cases
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningReport, TuningState
from mednextseg.files import make_folder, write_text
from mednextseg.json_values import listed, read_json_object
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.tuning_choices import METHODS, choice_named

_CELL_FILE = "cell.json"
_USUAL = (1, 2, 5, 10)
_EACH = "-each"  # at the end of a folder's name: a folder in it for each case that is held out
_SHARE = 3  # of fewer than ten cases one in so many is kept for the figures


@dataclass(frozen=True)
class ShotCell:
    """One method on one number of cases.

    Attributes:
        cases: that were learned from; the same ones, and more, for larger numbers. Where each case is held out once, all of them, in the
            order in which they come to be learned from.
        steps: of a training.
        seconds: of a training, the median step times the steps, since others may use the machine meanwhile.
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
    leave_one_out: bool = False,
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
        leave_one_out: every method learns once without each case and is measured on that one; as many trainings as cases.
    Raises:
        ValueError, OSError, RuntimeError, Cancelled: as `adapt_model`, and for a number of cases that there are not.
    """
    asked = {method: _of_method(options, method) for method in methods}
    by_name = {case.name: case for case in cases}
    folds = folds_of_curves(list(by_name), options.held_out, leave_one_out)
    most = min(len(part.training) for part in folds.parts)
    shots = list(shots) or [count for count in _USUAL if count <= most]
    if wrong := [count for count in shots if not 0 < count <= most]:
        raise ValueError(f"there are {most} cases to learn from, so {listed(wrong)} of them cannot be; give 1 to that.")
    order = [folds.final[n] for n in np.random.default_rng(options.seed).permutation(len(folds.final))]
    points = [(method, count) for count in sorted(set(shots)) for method in asked]
    cells = []
    for number, (method, count) in enumerate(points):
        place, outcomes = make_folder(folder / f"{method}-{count:03d}{_EACH if leave_one_out else ''}"), []
        clock = _StepClock(report, f"{method} on {count}")
        for at, part in enumerate(folds.parts):
            clock.begin((number + at / len(folds.parts)) / len(points), 1 / len(folds.parts) / len(points))
            learned = [name for name in order if name in part.training][:count]
            chosen = [by_name[name] for name in (*learned, *part.held_out)]
            own, how = make_folder(place / str(at)) if leave_one_out else place, replace(asked[method], held_out=part.held_out)
            # At once where it was finished, and it checks what was asked.
            outcomes.append(adapt_model(base, chosen, own, how, device, clock, cancelled))
        cells.append(_cell(asked[method], tuple(order if leave_one_out else order[:count]), count, outcomes, place, clock))
    return cells


def folds_of_curves(names: Sequence[str], held_out: Sequence[str] | None = None, leave_one_out: bool = False) -> Folds:
    """Who is measured at every point of the curves: the given cases, else a fifth of ten or more, else a third; or each case once.

    Raises:
        ValueError: as `fold_cases`, and for cases that are held out where each is.
    """
    if leave_one_out:
        if held_out is not None:
            raise ValueError(
                f"each case is to be held out once, and {listed(held_out)} already by a split of the cases; leave one of the two out."
            )
        fold_cases(names)
        parts = tuple(Fold(tuple(other for other in names if other != name), (name,)) for name in names)
        return Folds(parts, tuple(names), f"each of {len(names)} cases measured by a training without it")
    folds = fold_cases(names, held_out)
    if not folds.final_is_measured:
        kept = [name for number, name in enumerate(names) if number % _SHARE == _SHARE - 1] or [names[-1]]
        folds = fold_cases(names, kept)
    return folds


def _of_method(options: TuningOptions, name: str) -> TuningOptions:
    """What is asked of one method; one that trains nothing has no budget."""
    choice_named(name, "a method of the curves", METHODS)
    return replace(options, method=name, **({"minutes": None, "steps": None} if name == "settings" else {}))


def _cell(
    options: TuningOptions,
    cases: tuple[str, ...],
    count: int,
    outcomes: Sequence[Adaptation],
    folder: Path,
    clock: "_StepClock",
) -> ShotCell:
    """The point of trainings that were measured on different cases, which is kept in the folder with the seconds of its first run."""
    if (folder / _CELL_FILE).is_file():
        return _from_dict(read_json_object(folder / _CELL_FILE))
    gate = joined([outcome.evidence for outcome in outcomes]).judged(options.tolerated_loss)
    change = gate.rows[-1].change["dice"]
    cell = ShotCell(
        method=options.method,
        shots=count,
        cases=cases,
        steps=outcomes[0].steps,
        seconds=round(clock.step_seconds * outcomes[0].steps, 2),
        megabytes=round(sum(file.stat().st_size for file in outcomes[0].package.glob("*.safetensors")) / 1e6, 3),
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

    def __init__(self, report: TuningReport, name: str) -> None:
        self._report, self._name, self._from, self._share = report, name, 0.0, 1.0
        self._last: float | None = None
        self._seconds: list[float] = []

    def begin(self, done: float, share: float) -> None:
        """The next adaptation is this share of all, so much of which is done."""
        self._from, self._share, self._last = done, share, None

    def __call__(self, state: TuningState) -> None:
        now = time.monotonic()
        if state.loss is not None and self._last is not None:
            self._seconds.append(now - self._last)
        self._last = now if state.loss is not None else None
        fraction = self._from + self._share * state.fraction
        self._report(replace(state, stage=f"{self._name}: {state.stage}", fraction=fraction, seconds_left=None))

    @property
    def step_seconds(self) -> float:
        """The median; 0 where nothing was trained."""
        return median(self._seconds) if self._seconds else 0.0
