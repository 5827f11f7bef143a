"""How far beyond a coarse model's structure hippocampus-mr should look: Dice on IXI's validation heads by the margin of its boxes.

    python Testing/benchmarks/region_margins.py --data ../shared/data --margins 2 3 4

Both parts of a hippocampus together are compared with the whole hippocampus that DLMUSE drew, on the grid of the reference.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from head_sets import SETS, LabeledHead

from mednextseg import load_model, segment
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.validation import dice_of_structures
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.models.loaded_model import LoadedModel

_MODEL, _SIDES = "hippocampus-mr", ("left", "right")


def dice_of_sides(head: LabeledHead, model: LoadedModel) -> list[float]:
    """Dice of the left and the right hippocampus of one head."""
    labelmap_kji, report = segment(head.volume_kji, head.geometry, model)
    classes = np.zeros(max(label.value for label in report.labels) + 1, dtype=np.int64)
    ours = [structures().classes.index(f"{side} hippocampus") for side in _SIDES]
    for label in report.labels:
        classes[label.value] = ours[_SIDES.index(label.name.split()[0])]
    return dice_of_structures(*head.compared(classes[labelmap_kji]))[ours].tolist()


def main() -> None:
    """Print a row for each margin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder with ixi_brain")
    parser.add_argument("--margins", nargs="+", type=float, default=[2.0, 3.0, 4.0], help="mm")
    options = parser.parse_args()
    keep_freed_memory()
    print("| margin, mm | mean Dice | lowest |\n|---|---|---|")
    for margin_mm in options.margins:
        model = load_model(_MODEL)
        model.card = replace(model.card, region_from=replace(model.card.region_from, margin_mm=margin_mm))
        dice = [value for head in SETS["ixi"](options.data) for value in dice_of_sides(head, model)]
        print(f"| {margin_mm:g} | {np.mean(dice):.3f} | {min(dice):.3f} |", flush=True)


if __name__ == "__main__":
    main()
