"""What a budget costs in Dice and saves in time: a curve for each model, over labeled cases.

    python Testing/benchmarks/budget_curves.py DATASET --model hippocampus-mr [--overlap 0.5] -o curves.json

DATASET is in nnU-Net's raw layout; its validation cases are segmented with each budget, and with every window. Printed is a table: windows,
multiply-adds (counted), seconds of the network (measured: only worth something on a quiet machine), Dice against the reference labels
by the labels' names in the data set, and Dice against the run over every window. Nothing is asserted.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mednextseg import load_model
from mednextseg.adapt.mednext.dataset import open_dataset
from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.volume_io import read_volume

BUDGETS = (1.0, 0.75, 0.5, 0.25, 0.0)
TOLERANCE_MM = 1.0


@dataclass(frozen=True)
class Point:
    """One budget, as means over the cases; Dice as mean over labels."""

    budget: float
    windows: float
    of_windows: float
    multiply_adds: float
    network_seconds: float
    dice: float
    dice_to_full: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--overlap", type=float, help="of neighboring windows; the card's without it")
    parser.add_argument("--cases", type=int, help="only the first so many cases")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file")
    options = parser.parse_args()
    model, cases = load_model(options.model), open_dataset(options.dataset).validation[: options.cases]
    images = [read_volume(case.images[0]) for case in cases]
    references = [read_volume(case.label)[0] for case in cases]
    base, full, points = SegmentRecipe(overlap=options.overlap), [], []
    for budget in BUDGETS:
        found = [
            segment(*image, model, recipe=replace(base, budget=budget), device="cpu", whole=True)
            for image in tqdm(images, str(budget))
        ]
        labelmaps, reports = zip(*found, strict=True)
        full = full or labelmaps
        points.append(_point(budget, model, labelmaps, reports, references, full, images))
        options.output.write_text(json.dumps([asdict(point) for point in points], indent=1), encoding="utf-8")
    print(f"{len(cases)} cases\n\n{_table(points)}")


def _point(
    budget: float, model: LoadedModel, labelmaps: tuple, reports: tuple, references: list, full: tuple, images: list
) -> Point:
    windows = [report.windows for report in reports]
    looked_at = [count.full + count.crop for count in windows]

    def dice(truths: list | tuple) -> float:
        values = {label.name: label.value for label in model.card.labels}
        pairs = zip(truths, labelmaps, images, strict=True)
        measured = [evaluate_pair(a, b, image[1].spacing_kji_mm, values, TOLERANCE_MM) for a, b, image in pairs]
        return float(np.mean([label["dice"] for case in measured for label in case.values()]))

    return Point(
        budget,
        float(np.mean(looked_at)),
        float(np.mean([n + count.skip for n, count in zip(looked_at, windows, strict=True)])),
        float(np.mean([count.multiply_adds for count in windows])),
        float(np.mean([count.network_seconds for count in windows])),
        dice(references),
        dice(full),
    )


def _table(points: list[Point]) -> str:
    lines = [
        "| budget | windows | multiply-adds | network, s | Dice | Dice to every window |",
        "|---|---|---|---|---|---|",
    ]
    for p in points:
        cost = f"{p.windows:.1f} of {p.of_windows:.1f} | {p.multiply_adds / 1e9:.1f} G | {p.network_seconds:.2f}"
        lines.append(f"| {p.budget:g} | {cost} | {p.dice:.4f} | {p.dice_to_full:.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
