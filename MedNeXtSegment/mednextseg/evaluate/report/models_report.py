"""The table of models by data sets as CSV and as one HTML page."""

import csv
import io
import json

from mednextseg.evaluate.compare.models_by_datasets import METRICS, TableCell, TableOutcome
from mednextseg.evaluate.report.page import Cell, number, page, paragraph, section, table
from mednextseg.evaluate.report.summary import Mean

_TITLES = {"dice": "Dice", "nsd": "Surface Dice"}
_SHARED_RULE = (
    "Means cover the structures that every model shares with the data set, so that they can be compared. Intervals: 95 % bootstrap "
    "over cases."
)


def table_csv(outcome: TableOutcome) -> str:
    """A row for each model, data set and structure ("mean" for the shared ones together)."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [f"{metric}{suffix}" for metric in METRICS for suffix in ("", "_low", "_high")]
    writer.writerow(["model", "dataset", "structure", "cases", *columns, "seconds_per_case", "peak_memory_mb"])
    for cell in outcome.cells:
        for name, means in {"mean": cell.mean, **cell.labels}.items():
            values = [v for metric in METRICS for v in (means[metric].mean, means[metric].low, means[metric].high)]
            texts = ["" if value is None else f"{value:.4f}" for value in values]
            cost = ["" if value is None else f"{value:.1f}" for value in (cell.seconds_per_case, cell.peak_memory_mb)]
            writer.writerow([cell.model, cell.dataset, name, means["dice"].cases, *texts, *cost])
    return stream.getvalue()


def table_page(outcome: TableOutcome) -> str:
    """The HTML text: one table a metric, cost, every structure, failures and hashes."""
    models = list(dict.fromkeys(cell.model for cell in outcome.cells))
    datasets = list(dict.fromkeys(cell.dataset for cell in outcome.cells))
    cells = {(cell.model, cell.dataset): cell for cell in outcome.cells}
    heads = ("model", *datasets)
    rows = {
        metric: [[Cell(m), *(_mean_cell(cells[m, d].mean[metric]) for d in datasets)] for m in models] for metric in METRICS
    }
    cost = [[Cell(m), *(_cost_cell(cells[m, d]) for d in datasets)] for m in models]
    shared = [f"{d}: {', '.join(cells[models[0], d].shared) or 'no structure in common'}." for d in datasets]
    lead = f"{len(models)} model(s), {len(datasets)} data set(s), {len(outcome.failed)} failure(s)"
    return page("Models by data sets", lead, [
        section("Failures", *(paragraph(f"{where}: {error}", "failed") for where, error in outcome.failed.items())),
        *(section(f"{_TITLES[metric]}, mean", table(heads, rows[metric])) for metric in METRICS),
        section("Which structures the means cover", paragraph(_SHARED_RULE), *(paragraph(text) for text in shared)),
        section("Cost: seconds a case, peak memory", table(heads, cost)),
        section("Every structure", _structure_table(outcome)),
        section("Models", *(paragraph(f"{m}: {json.dumps(facts, ensure_ascii=False)}") for m, facts in outcome.models.items())),
    ])  # fmt: skip


def _structure_table(outcome: TableOutcome) -> str:
    rows = [
        [Cell(cell.dataset), Cell(cell.model), Cell(name), *(_mean_cell(means[metric]) for metric in METRICS)]
        for cell in outcome.cells
        for name, means in cell.labels.items()
    ]
    return table(("data set", "model", "structure", *(_TITLES[metric] for metric in METRICS)), rows)


def _mean_cell(mean: Mean) -> Cell:
    if mean.mean is None:
        return number(None)
    return number(mean.mean, 3, mean.mean, f"{mean.low:.3f} to {mean.high:.3f}, n {mean.cases}")


def _cost_cell(cell: TableCell) -> Cell:
    if cell.seconds_per_case is None:
        return number(None)
    memory = "" if cell.peak_memory_mb is None else f"{cell.peak_memory_mb:.0f} MB"
    return Cell(f"{cell.seconds_per_case:.1f} s", cell.seconds_per_case, detail=memory)
