"""What adapting makes of a few cases, for docs/adapt.md: one table a call, on the sets of adapt_sets.py; what is there is not done again.

    python Testing/benchmarks/adapt_figures.py losses --sets build/adapt -o build/adapt/figures
    python Testing/benchmarks/adapt_figures.py methods --sets build/adapt -o build/adapt/figures --steps 24
    python Testing/benchmarks/adapt_figures.py pretraining --sets build/adapt -o build/adapt/figures --steps 24
    python Testing/benchmarks/adapt_figures.py settings --sets build/adapt -o build/adapt/figures --set noisy --shots 5

`losses`: every loss and every sampling of patches on the same cases, the others as usual. `methods`: several on two, five and twenty cases.
`pretraining`: with it and without, on as many cases. `settings`: threshold, smallest part, overlap and mirrored views chosen on as many.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from mednextseg.adapt.tuning.adapt_model import Adaptation, adapt_model
from mednextseg.adapt.tuning.cases import cases_in_folder
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningState
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.tuning_choices import LOSSES, SAMPLINGS

MODEL = "hippocampus-mr"
_HELD_OUT = "hippocampus_087", "hippocampus_149"
_PRETRAINING = "pretraining"


def losses(base: LoadedModel, sets: Path, output: Path, steps: int, dataset: str, only: Sequence[str]) -> None:
    """Three cases of `inverted`, two others held out; of other sets five cases, with the split of the set."""
    usual = TuningOptions()
    how_many, held_out = (None, _HELD_OUT) if dataset == "inverted" else (5, None)
    for name, wanted in [
        *((loss, {"loss": loss}) for loss in LOSSES),
        *((f"sampling-{sampling}", {"sampling": sampling}) for sampling in SAMPLINGS if sampling != usual.sampling),
    ]:
        if not only or name in only:
            options = TuningOptions(steps=steps, held_out=held_out, **wanted)
            _print(name, _adapted(base, sets / dataset, how_many, output / f"losses-{dataset}-{steps}" / name, options))


def methods(
    base: LoadedModel, sets: Path, output: Path, steps: int, dataset: str, shots: Sequence[int], names: Sequence[str]
) -> None:
    """The first cases of a set by these methods."""
    for count in shots:
        for name in names:
            _print(f"{count} {name}", _by_method(base, sets, output, steps, dataset, count, name))


def pretraining(base: LoadedModel, sets: Path, output: Path, steps: int, pretraining_steps: int, shots: Sequence[int]) -> None:
    """Cases of `many`; the volumes of all twenty are looked at first, the held-out ones are not."""
    place, kept = output / f"pretraining-{steps}", output / f"pretraining-{steps}" / f"pretrained-{pretraining_steps}"
    for count in shots:
        _print(f"{count} without", _by_method(base, sets, output, steps, "many", count, "all"))
        options = TuningOptions(steps=steps, unlabeled=str(sets / "unlabeled"), pretraining_steps=pretraining_steps)
        folder = place / f"{count}-with-{pretraining_steps}"
        if kept.is_dir() and not folder.is_dir():  # the same volumes, steps and seed: the same weights
            shutil.copytree(kept, folder / _PRETRAINING)
        _print(f"{count} with {pretraining_steps}", _adapted(base, sets / "many", count, folder, options))
        if not kept.is_dir():
            shutil.copytree(folder / _PRETRAINING, kept)


def settings(base: LoadedModel, sets: Path, output: Path, dataset: str, shots: Sequence[int]) -> None:
    """Cases of `known`, which the model segments well as it is, or of `noisy` and `uneven`, on which it is nearly right."""
    for count in shots:
        folder = output / f"settings-{dataset}" / f"{count}"
        _print(f"{dataset} {count}", _adapted(base, sets / dataset, count, folder, TuningOptions(method="settings")))


def _by_method(base: LoadedModel, sets: Path, output: Path, steps: int, dataset: str, count: int, method: str) -> Adaptation:
    folder = output / f"methods-{dataset}-{steps}" / f"{count}-{method}"
    return _adapted(base, sets / dataset, count, folder, TuningOptions(method=method, steps=steps))


def _adapted(base: LoadedModel, dataset: Path, count: int | None, folder: Path, options: TuningOptions) -> Adaptation:
    """The first `count` cases, in the order of their names, are learned from; the split of the set is held out."""
    found = cases_in_folder(dataset, 1)
    held_out = options.held_out or found.held_out or ()
    learned = [case for case in found.cases if case.name not in held_out][:count]
    kept = [case for case in found.cases if case.name in held_out]
    asked = TuningOptions(**{**vars(options), "held_out": held_out})
    return adapt_model(base, [*learned, *kept], folder, asked, report=_Stages().show)


class _Stages:
    """A line for each stage, so that a log shows how far it is."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, state: TuningState) -> None:
        """Take one report."""
        if state.stage != self._last and not state.stage.startswith(("reading", "pre-training: step", "tuning for")):
            print(f"    {state.stage}", flush=True)
        self._last = state.stage


def _print(name: str, outcome: Adaptation) -> None:
    labels = ", ".join(
        f"{row.label} {row.before['dice'].mean:.3f} -> {row.after['dice'].mean:.3f}" for row in outcome.gate.rows
    )
    print(f"{name:24s} {labels} | {outcome.gate.verdict}", flush=True)


def main() -> None:
    """Make one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("losses", "methods", "pretraining", "settings"))
    parser.add_argument("--sets", required=True, type=Path, help="what adapt_sets.py wrote")
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=12, help="of each training")
    parser.add_argument("--pretrain-steps", type=int, default=100)
    parser.add_argument("--shots", default="2,5,20", help="numbers of cases, with commas")
    parser.add_argument("--set", default="inverted", choices=("inverted", "many", "ixi", "known", "noisy", "uneven"))
    parser.add_argument("--methods", default="all,head,adapters", help="with commas")
    parser.add_argument("--only", default="", help="of the losses and samplings, with commas")
    options = parser.parse_args()
    keep_freed_memory()
    base, shots = load_model(MODEL), [int(count) for count in options.shots.split(",")]
    if options.table == "losses":
        losses(base, options.sets, options.output, options.steps, options.set, [n for n in options.only.split(",") if n])
    elif options.table == "methods":
        methods(base, options.sets, options.output, options.steps, options.set, shots, options.methods.split(","))
    elif options.table == "pretraining":
        pretraining(base, options.sets, options.output, options.steps, options.pretrain_steps, shots)
    else:
        settings(base, options.sets, options.output, options.set, shots)


if __name__ == "__main__":
    main()
