"""How well head-neck-ct draws each structure in OpenKBP's validation cases, where it was contoured.

    python Testing/benchmarks/head_neck_figures.py PACKAGE --data ../shared/data/openkbp_headneck --output build/head_neck_figures.json

Each case goes through a whole run (`mednextseg.segment`, default settings, no region) and is compared on its own grid. A structure that
was not contoured in a case, or whose contour is suspect (head_neck_dataset.py), is not scored there. Intervals are 95 % bootstrap
intervals of the mean over cases. The output file holds the rows of a card's `metrics`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from head_figures import interval
from head_neck_dataset import NAMES, presence_of

from mednextseg import load_model, segment
from mednextseg.evaluate.metrics import LabelMetrics, evaluate_pair
from mednextseg.files import write_text
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.volume_io import read_volume

_TOLERANCE_MM = 3.0  # of the surface Dice: about one voxel of these volumes
_METRICS = {"Dice": "dice", "surface Dice at 3 mm": "nsd", "HD95 in mm": "hd95_mm"}


def results_of(folder: Path, model: LoadedModel) -> Iterator[tuple[str, float, dict[str, LabelMetrics]]]:
    """Name, seconds and figures of each contoured structure, case by case."""
    table = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    values = {NAMES[label]: int(value) for value, label in table["labels"].items()}
    for name in sorted(json.loads((folder / "split.json").read_text(encoding="utf-8"))["val"]):
        volume_kji, geometry = read_volume(folder / "images" / f"{name}_0000.nii.gz")
        reference_kji, _ = read_volume(folder / "labels" / f"{name}.nii.gz")
        start = time.perf_counter()
        labelmap_kji, report = segment(volume_kji, geometry, model)
        seconds = time.perf_counter() - start
        drawn = {structure: values[structure] for structure in presence_of(table["cases"][name])}
        ours = {label.name: label.value for label in report.labels if label.name in drawn}
        yield (
            name,
            seconds,
            evaluate_pair(reference_kji, labelmap_kji, geometry.spacing_kji_mm, drawn, _TOLERANCE_MM, prediction_labels=ours),
        )


def metrics_of(results: list[tuple[str, float, dict[str, LabelMetrics]]]) -> list[dict]:
    """Rows for a card."""
    rows = []
    for metric, key in _METRICS.items():
        for structure in NAMES.values():
            found = [of_case[structure][key] for _, _, of_case in results if structure in of_case]
            scored = torch.tensor([value for value in found if value is not None])  # no distance to what was not found at all
            worst = scored.max() if key == "hd95_mm" else scored.min()
            rows.append(
                {
                    "metric": metric,
                    "data": f"{len(scored)} planning CTs of OpenKBP, never trained on",
                    "label": structure,
                    "mean": round(float(scored.mean()), 3),
                    "worst": round(float(worst), 3),
                    "interval_95": interval(scored),
                }
            )
    return rows


def main() -> None:
    """Print the tables and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="id or folder of the package")
    parser.add_argument("--data", required=True, type=Path, help="folder with images, labels, cases.json and split.json")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    results = []
    for result in results_of(options.data, load_model(options.model)):
        name, seconds, of_case = result
        mean = sum(of_structure["dice"] for of_structure in of_case.values()) / max(1, len(of_case))
        print(f"{name}: mean Dice {mean:.3f} of {len(of_case)} structures, {seconds:.1f} s", flush=True)
        results.append(result)
    rows = metrics_of(results)
    print("\n| structure | figure | cases | mean | 95 % | worst |\n|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["interval_95"]
        count = row["data"].split()[0]
        print(
            f"| {row['label']} | {row['metric']} | {count} | {row['mean']:.3f} | {low:.3f} to {high:.3f} | {row['worst']:.3f} |"
        )
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.output, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
