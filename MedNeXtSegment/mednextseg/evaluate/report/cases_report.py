"""The report of one evaluation: a single HTML file with tables, plots and the worst cases as pictures."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from mednextseg.evaluate.case import CaseResult
from mednextseg.evaluate.folders import Evaluation
from mednextseg.evaluate.report.figures import bland_altman, box_plot
from mednextseg.evaluate.report.page import Cell, number, page, paragraph, picture, section, table
from mednextseg.evaluate.report.summary import Mean, confusion, detection, label_names, metric_table, summarize

# Beyond this many labels plots are cut to the worst ones: nobody reads a hundred boxes.
_MAX_PLOTTED_LABELS = 24
_WITH_UNITS = ("hd95_mm", "assd_mm", "volume_difference_ml")
_EMPTY_RULE = (
    "Where neither side has a label, Dice, IoU and surface Dice count as 1; where only one has it, as 0. Distances need a surface on "
    "both sides and are left out otherwise; n is the number of cases with a value. Intervals: 95 % bootstrap over cases."
)


def evaluation_page(
    evaluation: Evaluation, provenance: Mapping[str, object], pictures: Sequence[tuple[str, bytes]] = ()
) -> str:
    """The HTML text.

    Args:
        provenance: what produced the numbers (paths, model, hashes, recipe), shown as given.
        pictures: (caption, PNG) of the worst cases.
    """
    results = evaluation.results
    lead = f"{len(results)} case(s), {len(label_names(results))} label(s), {len(evaluation.failed)} failed"
    lead += f"; model {provenance['model']}" if "model" in provenance else ""
    return page("Segmentation evaluation", lead, [
        section("Failed cases", *(paragraph(f"{case}: {error}", "failed") for case, error in evaluation.failed.items())),
        section("Summary", _summary_table(results), paragraph(_EMPTY_RULE)),
        section("Distribution over cases", *_box_plots(results)),
        section("Worst cases", *(picture(png, caption) for caption, png in pictures)),
        section("Volumes (Bland-Altman)", *_bland_altman_plots(results)),
        section("Detection by component", _detection_table(results)),
        section("Confusion", _confusion_table(results)),
        section("Every case", _case_table(results)),
        section("Notes", *(paragraph(text, "note") for text in _notes(evaluation))),
        section("What produced these numbers", _provenance_table(provenance)),
    ])  # fmt: skip


def _summary_table(results: Sequence[CaseResult]) -> str:
    tolerances = {name: metrics["tolerance_mm"] for r in results for name, metrics in r.labels.items()}
    rows = []
    for name, row in summarize(results).items():
        tolerance = f"{tolerances[name]:g} mm" if name in tolerances else ""
        rows.append([
            Cell(name),
            Cell(str(row["dice"].cases), row["dice"].cases),
            *(_mean_cell(row[metric], row["dice"].cases, quality=True) for metric in ("dice", "iou", "nsd")),
            Cell(tolerance, tolerances.get(name)),
            *(_mean_cell(row[metric], row["dice"].cases) if metric in row else Cell("") for metric in _WITH_UNITS),
        ])  # fmt: skip
    heads = ("label", "n", "Dice", "IoU", "surface Dice", "tolerance", "HD95 (mm)", "ASSD (mm)", "volume error (ml)")
    return table(heads, rows)


def _mean_cell(mean: Mean, cases: int, quality: bool = False) -> Cell:
    """A mean with its interval; with its own n where that is not the row's."""
    if mean.mean is None:
        return number(None)
    fewer = "" if mean.cases == cases else f", n {mean.cases}"
    return number(mean.mean, 3, mean.mean if quality else None, f"{mean.low:.3f} to {mean.high:.3f}{fewer}")


def _plotted(results: Sequence[CaseResult]) -> list[str]:
    names = label_names(results)
    if len(names) <= _MAX_PLOTTED_LABELS:
        return names
    means = {name: float(np.nanmean(metric_table(results, "dice", [name]))) for name in names}
    return sorted(names, key=lambda name: means[name])[:_MAX_PLOTTED_LABELS]


def _box_plots(results: Sequence[CaseResult]) -> list[str]:
    """None of a single case, whose numbers are in the tables and have no distribution."""
    plots = []
    if len(results) < 2:
        return plots
    for metric, title, unit in (("dice", "Dice", "Dice"), ("nsd", "Surface Dice", "NSD"), ("hd95_mm", "HD95", "mm")):
        columns = {name: metric_table(results, metric, [name])[:, 0] for name in _plotted(results)}
        values = {name: column[~np.isnan(column)] for name, column in columns.items() if not np.isnan(column).all()}
        if values:
            plots.append(picture(box_plot(values, title, unit), f"{title}: median, quartiles and every case."))
    return plots


def _bland_altman_plots(results: Sequence[CaseResult]) -> list[str]:
    """None of a single case, which has neither bias nor limits."""
    plots = []
    if len(results) < 2:
        return plots
    for name in _plotted(results):
        rows = [result.labels[name] for result in results if name in result.labels]
        png = bland_altman([row["reference_ml"] for row in rows], [row["prediction_ml"] for row in rows], name)
        plots.append(picture(png, f"{name}: {len(rows)} case(s)."))
    return plots


def _detection_table(results: Sequence[CaseResult]) -> str:
    rows = []
    for name in label_names(results):
        row = detection(results, name)
        counts = (row[k] for k in ("reference_lesions", "found_lesions", "predicted_lesions", "correct_lesions"))
        rates = (number(row[rate], 3, row[rate]) for rate in ("lesion_recall", "lesion_precision"))
        rows.append([Cell(name), *(Cell(str(count), count) for count in counts), *rates])
    return table(("label", "in the reference", "found", "predicted", "correct", "recall", "precision"), rows)


def _confusion_table(results: Sequence[CaseResult]) -> str:
    rows, columns, matrix_ml = confusion(results)
    cells = []
    for name, volumes_ml in zip(rows, matrix_ml, strict=True):
        total = volumes_ml.sum()
        shares = volumes_ml / total if total else volumes_ml
        good = [share if column == name else 1 - share for column, share in zip(columns, shares, strict=True)]
        marked = [number(float(s), 3, float(g)) for s, g in zip(shares, good, strict=True)]
        cells.append([Cell(name), *marked, number(float(total), 2)])
    heads = ("reference ↓ predicted as →", *columns, "volume (ml)")
    return table(heads, cells) if len(rows) > 1 else ""


def _case_table(results: Sequence[CaseResult]) -> str:
    rows = []
    for result in results:
        for name, m in result.labels.items():
            place = result.largest_error_ras.get(name)
            rows.append([
                Cell(result.case),
                Cell(name),
                *(number(m[metric], 4, m[metric]) for metric in ("dice", "nsd")),
                number(m["hd95_mm"], 2),
                number(m["assd_mm"], 3),
                number(m["reference_ml"], 2),
                number(m["prediction_ml"], 2),
                Cell("-" if place is None else ", ".join(f"{mm:.1f}" for mm in place)),
            ])  # fmt: skip
    heads = ("case", "label", "Dice", "surface Dice", "HD95 (mm)", "ASSD (mm)", "reference (ml)", "prediction (ml)",
             "largest error (RAS)")  # fmt: skip
    return table(heads, rows)


def _notes(evaluation: Evaluation) -> list[str]:
    notes = list(evaluation.unmatched)
    for result in evaluation.results:
        notes += [f"{result.case}: {note}" for note in result.notes]
    for side, other in (("reference", "prediction"), ("prediction", "reference")):
        names = dict.fromkeys(name for r in evaluation.results for name in getattr(r, f"only_{side}"))
        if names:
            notes.append(f"Not compared, because the {other} does not know them: {', '.join(names)}.")
    return notes


def _provenance_table(provenance: Mapping[str, object]) -> str:
    rows = []
    for name, value in provenance.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        rows.append(f'<tr><td>{Cell(name).to_html()[4:-5]}</td><td class="text">{Cell(text).to_html()[4:-5]}</td></tr>')
    return f"<table><tbody>{''.join(rows)}</tbody></table>" if rows else ""
