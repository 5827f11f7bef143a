"""How well a whole-head model draws each structure on real heads it was never trained on.

    python Testing/benchmarks/head_figures.py PACKAGE --data ../shared/data/ixi_brain --output build/head_figures.json

Each validation head of split.json goes through a whole run (`mednextseg.segment`, default settings, no region), and the labelmap is
compared with the head's labels on the head's own grid. Voxels that the labels leave open count neither for nor against a structure.
The output file holds the rows of a card's `metrics`.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mednextseg import load_model, segment
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.validation import ALIKE, alike_classes, dice_of_structures
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.volume_io import read_volume


def dice_of_case(folder: Path, case: str, model: object) -> tuple[Tensor, float]:
    """Dice of every class (classes,), NaN where the labels have none of it, and the seconds of the run."""
    volume, geometry = read_volume(folder / "images" / f"{case}_0000.nii.gz")
    values, _ = read_volume(folder / "labels" / f"{case}.nii.gz")
    start = time.perf_counter()
    labelmap, _ = segment(volume, geometry, model)
    seconds = time.perf_counter() - start
    codes = structures().joins["muse"][torch.from_numpy(values.astype(np.int64))]
    return dice_of_structures(torch.from_numpy(labelmap.astype(np.int64)), codes), seconds


def metrics_of(dice: Tensor, data: str) -> list[dict]:
    """Rows for a card: every structure that the labels draw, over the cases (rows of dice)."""
    rows = []
    for label, column in zip(structures().classes[1:], dice.T[1:], strict=True):
        found = column[~column.isnan()]
        if len(found):
            numbers = {"mean": found.mean(), "standard_deviation": found.std(), "minimum": found.min()}
            rounded = {name: round(float(number), 3) for name, number in numbers.items()}
            rows.append({"metric": "Dice", "data": data, "label": label, **rounded})
    return rows


def main() -> None:
    """Print the table and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="id or folder of the package")
    parser.add_argument("--data", required=True, type=Path, help="folder with images, labels (MUSE values) and split.json")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    model = load_model(options.model)
    cases = json.loads((options.data / "split.json").read_text(encoding="utf-8"))["val"]
    results = [dice_of_case(options.data, case, model) for case in cases]
    dice = torch.stack([found for found, _ in results])
    rows = metrics_of(dice, f"{len(cases)} validation heads of {options.data.name}, never trained on")
    print("| structure | mean Dice | standard deviation | lowest |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['label']} | {row['mean']:.3f} | {row['standard_deviation']:.3f} | {row['minimum']:.3f} |")
    print(f"\nmean over {', '.join(ALIKE)}:")
    for case, by_structure, (_, seconds) in zip(cases, dice, results, strict=True):
        print(f"{case}: {by_structure[alike_classes()].nanmean():.3f}, {seconds:.1f} s")
    print(f"all: {dice[:, alike_classes()].nanmean(1).mean():.3f}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
