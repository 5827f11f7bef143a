"""Cases -> numbers for a table: means with bootstrap intervals, medians, worst cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mednextseg.evaluate.case import CaseResult

SUMMARIZED = ("dice", "iou", "nsd", "hd95_mm", "assd_mm", "volume_difference_ml", "relative_volume_difference")
LOWER_IS_BETTER = frozenset({"hd95_mm", "assd_mm"})
_RESAMPLES = 2000
_CONFIDENCE_PERCENT = 95
_SEED = 0


@dataclass(frozen=True)
class Mean:
    """A mean over cases with its 95 % bootstrap interval; None throughout where no case has a value.

    Attributes:
        cases: how many cases have a value.
    """

    cases: int
    mean: float | None
    low: float | None
    high: float | None
    median: float | None


def bootstrap_mean(values: np.ndarray) -> Mean:
    """Mean of a table and its percentile interval under resampling of cases.

    Args:
        values: (cases,) or (cases, labels) float; NaN where a value is not defined. Whole cases are drawn, because the labels of one
            patient are not independent.
    """
    table = np.asarray(values, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    table = table[~np.isnan(table).all(axis=1)]
    if not table.size:
        return Mean(0, None, None, None, None)
    sums, counts = np.nansum(table, axis=1), (~np.isnan(table)).sum(axis=1)
    draws = np.random.default_rng(_SEED).integers(0, len(table), (_RESAMPLES, len(table)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    tail = (100 - _CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(means, (tail, 100 - tail)).tolist()
    return Mean(len(table), float(sums.sum() / counts.sum()), low, high, float(np.nanmedian(table)))


def metric_table(results: Sequence[CaseResult], metric: str, labels: Sequence[str]) -> np.ndarray:
    """(cases, labels) float64 of one metric; NaN where it is not defined or the case lacks the label."""
    rows = [[result.labels[name][metric] if name in result.labels else None for name in labels] for result in results]
    return np.array(rows, dtype=float).reshape(len(results), len(labels))


def label_names(results: Sequence[CaseResult]) -> list[str]:
    """All labels that were compared, in the order they first appear."""
    return list(dict.fromkeys(name for result in results for name in result.labels))


def summarize(results: Sequence[CaseResult]) -> dict[str, dict[str, Mean]]:
    """label -> metric -> Mean, and "mean" over all labels (of Dice, IoU and surface Dice: other units do not add up)."""
    names = label_names(results)
    summary = {name: {m: bootstrap_mean(metric_table(results, m, [name])) for m in SUMMARIZED} for name in names}
    if len(names) > 1:
        summary["mean"] = {m: bootstrap_mean(metric_table(results, m, names)) for m in ("dice", "iou", "nsd")}
    return summary


def detection(results: Sequence[CaseResult], name: str) -> dict[str, float | int | None]:
    """Lesions of one label over all cases: counts, recall and precision by lesion (not by case)."""
    rows = [result.labels[name] for result in results if name in result.labels]
    keys = ("reference_lesions", "found_lesions", "predicted_lesions", "correct_lesions")
    total = {key: sum(row[key] for row in rows) for key in keys}
    return {
        **total,
        "lesion_recall": total["found_lesions"] / total["reference_lesions"] if total["reference_lesions"] else None,
        "lesion_precision": total["correct_lesions"] / total["predicted_lesions"] if total["predicted_lesions"] else None,
    }


def confusion(results: Sequence[CaseResult]) -> tuple[list[str], list[str], np.ndarray]:
    """Rows: reference labels; columns: what they were predicted as; (rows, columns) ml summed over cases."""
    rows = label_names(results)
    columns = list(dict.fromkeys(column for r in results for m in r.labels.values() for column in m["predicted_as_ml"]))
    columns.sort(key=lambda name: rows.index(name) if name in rows else len(rows))
    matrix = np.zeros((len(rows), len(columns)))
    for result in results:
        for name, metrics in result.labels.items():
            for column, volume_ml in metrics["predicted_as_ml"].items():
                matrix[rows.index(name), columns.index(column)] += volume_ml
    return rows, columns, matrix


def worst(results: Sequence[CaseResult], count: int) -> list[tuple[str, str]]:
    """(case, label) with the lowest Dice: the worst case of each label first, then the next worst of any."""
    ranked = sorted((metrics["dice"], r.case, name) for r in results for name, metrics in r.labels.items())
    first_of_label = {name: (dice, case, name) for dice, case, name in reversed(ranked)}
    order = sorted(first_of_label.values()) + [entry for entry in ranked if entry not in first_of_label.values()]
    return [(case, name) for dice, case, name in order[:count] if dice < 1]
