"""How far the CCFV ranking can be trusted: its order of models against their true Dice, on whole data sets and on a few cases.

    python Testing/benchmarks/ccfv_trial.py build/models_by_datasets/plan.json --datasets MSD heads \\
        --models build/models_by_datasets/models/*/packages/* -o build/ccfv

PLAN lists data sets and models as for `mednextseg evaluate --table`; --models adds more, such as the checkpoints that
models_by_datasets.py packaged. The true Dice is that of the table (structures that all models share). CCFV sees only the decoder's
features and the references: once for all cases of a data set, and for many draws of a few of them, as a user would have. Runs that
were stopped go on where the table stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, spearmanr

from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import case_files, image_files
from mednextseg.evaluate.compare.models_by_datasets import run_plan
from mednextseg.evaluate.compare.plan import DatasetEntry, ModelEntry, TablePlan, read_plan
from mednextseg.evaluate.compare.ranking import case_features
from mednextseg.evaluate.compare.transferability import CaseFeatures, transferability
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.labels.label import Label
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segmentation_io import Segmentation, read_segmentation

_SEED = 0


def main() -> None:
    """Measure, rank, compare; write trial.json and print it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument("--datasets", nargs="+", required=True, help="names in the plan")
    parser.add_argument("--models", nargs="*", type=Path, default=[], help="model folders besides those of the plan")
    parser.add_argument("--cases", type=int, help="at most so many cases of each data set")
    parser.add_argument("--cases-per-draw", type=int, default=4)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    keep_freed_memory()
    plan = read_plan(options.plan, None, "cpu")
    known = {str(Path(model.model).resolve()) for model in plan.models}
    more = [
        ModelEntry(folder.name, str(folder), None, SegmentRecipe(), {})
        for folder in options.models
        if str(folder.resolve()) not in known
    ]
    datasets = tuple(
        replace(dataset, cases=case_names(dataset)[: options.cases])
        for dataset in plan.datasets
        if dataset.name in options.datasets
    )
    plan = TablePlan((*plan.models, *more), datasets, "cpu")
    table = run_plan(plan, options.output / "table", lambda text: print(text, file=sys.stderr, flush=True))
    if table.failed:
        raise RuntimeError(f"some cases failed: {table.failed}")
    dice = {(cell.dataset, cell.model): cell.mean["dice"].mean for cell in table.cells}
    trial = {}
    for dataset in plan.datasets:
        features = features_of(plan.models, dataset)
        truth = [dice[dataset.name, name] for name in features]
        trial[dataset.name] = compare(features, truth, options.cases_per_draw, options.draws)
    (options.output / "trial.json").write_text(json.dumps(trial, indent=1), encoding="utf-8")
    for name, outcome in trial.items():
        print(markdown(name, outcome))


def features_of(models: Sequence[ModelEntry], dataset: DatasetEntry) -> dict[str, list[CaseFeatures]]:
    """Model -> features of every case."""
    images, references = image_files(dataset.images), case_files(dataset.references)
    cases = [(*read_channels(images[n]), named_reference(references[n], dataset)) for n in case_names(dataset)]
    found = {}
    for entry in models:
        model = load_model(entry.model)
        found[entry.name] = [case_features(model, *case, "cpu", seed=_SEED) for case in cases]
        print(f"{dataset.name}: features of {entry.name}", file=sys.stderr, flush=True)
    return found


def case_names(dataset: DatasetEntry) -> tuple[str, ...]:
    """The plan's cases; without any, those that have an image and a reference."""
    return dataset.cases or tuple(sorted(set(image_files(dataset.images)) & set(case_files(dataset.references))))


def named_reference(path: Path, dataset: DatasetEntry) -> Segmentation:
    """A reference with the structures of the plan's label table only, numbered anew."""
    stored = read_segmentation(path)
    labelmap_kji = np.zeros(stored.geometry.shape_kji, dtype=np.uint8)
    for number, values in enumerate(dataset.options.reference_table.values(), start=1):
        labelmap_kji[np.isin(stored.labelmap_kji, values)] = number
    labels = tuple(Label(number, name, (0, 0, 0)) for number, name in enumerate(dataset.options.reference_table, start=1))
    return replace(stored, labelmap_kji=labelmap_kji, labels=labels)


def compare(features: dict[str, list[CaseFeatures]], dice: Sequence[float], cases_per_draw: int, draws: int) -> dict:
    """Scores of all cases; rank correlations with the Dice for all cases and over draws of a few."""
    full = {name: transferability(cases) for name, cases in features.items()}
    scores = [score.score for score in full.values()]
    random = np.random.default_rng(_SEED)
    count = len(next(iter(features.values())))
    taus, regrets = [], []
    for _ in range(draws):
        chosen = random.choice(count, min(cases_per_draw, count), replace=False)
        drawn = [transferability([cases[n] for n in chosen]).score for cases in features.values()]
        taus.append(float(kendalltau(drawn, dice).statistic))
        regrets.append(max(dice) - dice[int(np.argmax(drawn))])
    return {
        "cases": count,
        "models": {
            name: {"dice": d, "score": score.score, "low": score.low, "high": score.high}
            for (name, score), d in zip(full.items(), dice, strict=True)
        },
        "kendall": float(kendalltau(scores, dice).statistic),
        "spearman": float(spearmanr(scores, dice).statistic),
        "cases_per_draw": cases_per_draw,
        "draws": draws,
        "kendall_of_draws": {"median": float(np.median(taus)), "low": min(taus), "high": max(taus)},
        "best_was_chosen": sum(regret == 0 for regret in regrets),
        "largest_dice_given_away": max(regrets),
    }


def markdown(name: str, outcome: dict) -> str:
    """The table of one data set, best Dice first, and the correlations below it."""
    rows = sorted(outcome["models"].items(), key=lambda item: -item[1]["dice"])
    lines = [f"### {name}, {outcome['cases']} cases", "", "| model | Dice | CCFV | 95 % interval |", "|---|---|---|---|"]
    lines += [f"| {model} | {r['dice']:.3f} | {r['score']:.2f} | {r['low']:.2f} to {r['high']:.2f} |" for model, r in rows]
    few = outcome["kendall_of_draws"]
    summary = (
        f"All cases: Kendall {outcome['kendall']:.2f}, Spearman {outcome['spearman']:.2f}. {outcome['draws']} draws of "
        f"{outcome['cases_per_draw']} cases: Kendall median {few['median']:.2f} ({few['low']:.2f} to {few['high']:.2f}); the best "
        f"model came first in {outcome['best_was_chosen']}; at worst the first one had {outcome['largest_dice_given_away']:.3f} "
        "Dice less than the best."
    )
    lines += ["", summary, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
