"""The curves as one HTML page and as plain text: mean Dice against the number of cases, and what each method cost."""

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mednextseg.adapt.tuning.folds import Folds
from mednextseg.adapt.tuning.shots.curves import ShotCell
from mednextseg.evaluate.report.page import Cell, number, page, paragraph, picture, section, table
from mednextseg.models.tuning_choices import METHODS

_HOW = (
    "Every method learned from the same cases, more of them in each row, and was measured on the same ones, no case by a training that "
    "saw it. Seconds are of one training, the median step times the steps, on a machine that others may have used at the same time."
)


def shots_page(cells: Sequence[ShotCell], model: str, folds: Folds) -> str:
    """The HTML text: curves, a table a number of cases, every label, and what the methods are."""
    heads = ("method", "cases", "mean Dice before", "after", "change (95 % interval)", "steps", "seconds", "MB", "verdict")
    labels = [label for label in cells[0].after if label != "mean"]
    by_label = [
        [Cell(cell.method), number(cell.shots, 0), *(number(cell.after[label], 3, cell.after[label]) for label in labels)]
        for cell in cells
    ]
    methods = dict.fromkeys(cell.method for cell in cells)
    return page(f"What {model} learned from a few cases", folds.explanation, [
        section("Accuracy and cost", paragraph(_HOW), picture(_curves(cells), "Mean Dice of the held-out cases; dashed: the base."),
                table(heads, [_row(cell) for cell in cells])),
        section("Every label, Dice after", table(("method", "cases", *labels), by_label)),
        section("Methods", *(paragraph(f"{m}: {METHODS[m].title}. {METHODS[m].advice}") for m in methods)),
        section("Cases", *_cases(cells, folds)),
    ])  # fmt: skip


def _cases(cells: Sequence[ShotCell], folds: Folds) -> list[str]:
    """Who was learned from."""
    if len(folds.parts) > 1:
        return [paragraph(f"Each training learned the first of these that it was not measured on: {', '.join(cells[0].cases)}")]
    return [paragraph(f"{cell.shots}: {', '.join(cell.cases)}") for cell in cells if cell.method == cells[0].method]


def shots_table(cells: Sequence[ShotCell]) -> str:
    """The same as plain text, a line a cell."""
    lines = [
        f"{'method':15s} {'cases':>5s} {'before':>7s} {'after':>7s} {'change (95 % interval)':>24s} {'seconds':>8s} {'MB':>7s}"
    ]
    for cell in cells:
        change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*cell.change)
        lines.append(
            f"{cell.method:15s} {cell.shots:5d} {_mean(cell.before):7.3f} {_mean(cell.after):7.3f} {change:>24s} {cell.seconds:8.1f} "
            f"{cell.megabytes:7.2f}"
        )
    return "\n".join(lines)


def _mean(dice: dict[str, float]) -> float:
    return dice["mean"] if "mean" in dice else next(iter(dice.values()))


def _row(cell: ShotCell) -> list[Cell]:
    change = "{:+.3f} ({:+.3f} to {:+.3f})".format(*cell.change)
    return [
        Cell(cell.method),
        number(cell.shots, 0),
        number(_mean(cell.before)),
        number(_mean(cell.after), 3, _mean(cell.after)),
        Cell(change, cell.change[0]),
        number(cell.steps, 0),
        number(cell.seconds, 1),
        number(cell.megabytes, 2),
        Cell(cell.verdict),
    ]


def _curves(cells: Sequence[ShotCell]) -> bytes:
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_cases, by_cost = figure.subplots(1, 2, sharey=True)
    for method in dict.fromkeys(cell.method for cell in cells):
        own = [cell for cell in cells if cell.method == method]
        dice = [_mean(cell.after) for cell in own]
        by_cases.plot([cell.shots for cell in own], dice, "o-", label=method)
        by_cost.plot([cell.seconds for cell in own], dice, "o", label=method)
    for axes, title in ((by_cases, "cases"), (by_cost, "seconds of training")):
        axes.axhline(_mean(cells[0].before), color="gray", linestyle="--")
        axes.set_xlabel(title)
        axes.grid(alpha=0.3)
    by_cases.set_ylabel("mean Dice")
    by_cases.set_xticks(sorted({cell.shots for cell in cells}))
    by_cases.legend()
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
