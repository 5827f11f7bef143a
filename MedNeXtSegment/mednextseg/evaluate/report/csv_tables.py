"""An evaluation as CSV (a row for each case and label) and JSON (everything)."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict

from mednextseg.evaluate.folders import Evaluation
from mednextseg.evaluate.report.summary import detection, label_names, summarize

METRIC_COLUMNS = (
    "dice", "iou", "nsd", "tolerance_mm", "hd95_mm", "assd_mm", "reference_ml", "prediction_ml", "volume_difference_ml",
    "relative_volume_difference", "reference_lesions", "found_lesions", "predicted_lesions", "correct_lesions",
    "lesion_recall", "lesion_precision",
)  # fmt: skip


def metrics_csv(evaluation: Evaluation) -> str:
    """A row for each case and label; undefined values are empty, failed cases have a row with their error."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    places = ("largest_error_r_mm", "largest_error_a_mm", "largest_error_s_mm")
    writer.writerow(["case", "label", *METRIC_COLUMNS, *places, "notes"])
    for result in evaluation.results:
        for name, metrics in result.labels.items():
            place = result.largest_error_ras.get(name) or ("", "", "")
            values = ["" if metrics[column] is None else metrics[column] for column in METRIC_COLUMNS]
            writer.writerow([result.case, name, *values, *place, " ".join(result.notes)])
    for case, error in evaluation.failed.items():
        writer.writerow([case, "", *[""] * (len(METRIC_COLUMNS) + len(places)), f"failed: {error}"])
    return stream.getvalue()


def evaluation_json(evaluation: Evaluation, provenance: Mapping[str, object]) -> dict:
    """JSON-ready: provenance, summary by label, detection, every case, failures."""
    summary = summarize(evaluation.results)
    return {
        "provenance": dict(provenance),
        "summary": {name: {metric: asdict(mean) for metric, mean in row.items()} for name, row in summary.items()},
        "detection": {name: detection(evaluation.results, name) for name in label_names(evaluation.results)},
        "cases": [result.to_dict() for result in evaluation.results],
        "failed": evaluation.failed,
        "unmatched": evaluation.unmatched,
    }
