"""What the fast path and bfloat16 change on trained weights: labels and Dice over labeled cases the model was not trained on.

    python Testing/benchmarks/precision_agreement.py DATASET -o results.json

DATASET is in nnU-Net's raw layout; its validation cases are segmented by the bundled hippocampus model on the processor, whole pipeline,
by the plain network, by the fast path and by the fast path in bfloat16. Nothing is asserted.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from mednextseg import load_model, segment
from mednextseg.adapt.mednext.dataset import LabeledCase, open_dataset
from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.kernels import accelerate
from mednextseg.kernels.plain import PlainRunner
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.volume_io import read_volume

MODEL = "hippocampus-mr"
TOLERANCE_MM = 1.0
PLAIN = "plain, float32"
CPU = torch.device("cpu")


class FixedModel(LoadedModel):
    """The model with its network run in one way, whatever the recipe asks for and whatever is faster here."""

    def run_by(self, runner: Callable[[torch.nn.Module], Callable[[Tensor], Tensor]]) -> "FixedModel":
        self._runs = [runner(self._read_network(file)) for file in self.card.weights_files]
        return self

    def network_loaders(self, device: str, precision: str = "fp32") -> list[Callable[[], Callable[[Tensor], Tensor]]]:
        return [lambda run=run: run for run in self._runs]


def runners() -> dict[str, FixedModel]:
    ways = {
        PLAIN: lambda network: PlainRunner(network, CPU, torch.float32),
        "fast path, float32": accelerate,
        "fast path, bfloat16": lambda network: accelerate(network, dtype=torch.bfloat16),
    }
    model = load_model(MODEL)
    return {name: FixedModel(model.folder, model.card).run_by(way) for name, way in ways.items()}


def compare(case: LabeledCase, models: dict[str, FixedModel]) -> list[dict]:
    """For each way to run the network: share of voxels (all, and foreground of either) labeled as by the plain one, mean Dice."""
    volume_kji, geometry = read_volume(case.images[0])
    reference_kji, _ = read_volume(case.label)
    found = {name: segment(volume_kji, geometry, model, device="cpu")[0] for name, model in models.items()}
    plain_kji, values = found[PLAIN], {label.name: label.value for label in models[PLAIN].card.labels}
    rows = []
    for name, labelmap_kji in found.items():
        equal, foreground = labelmap_kji == plain_kji, (labelmap_kji > 0) | (plain_kji > 0)
        dice = evaluate_pair(reference_kji, labelmap_kji, geometry.spacing_kji_mm, values, TOLERANCE_MM)
        rows.append(
            {
                "case": case.name,
                "runner": name,
                "voxels": equal.size,
                "equal": int(equal.sum()),
                "foreground": int(foreground.sum()),
                "equal_foreground": int((equal & foreground).sum()),
                "dice": float(np.mean([label["dice"] for label in dice.values()])),
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    """Markdown."""
    plain = np.array([row["dice"] for row in rows if row["runner"] == PLAIN])
    lines = [
        "| network | labels equal to the plain network's | of the labeled voxels | Dice | Dice - plain: mean | largest in a case |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["runner"] for row in rows):
        own = [row for row in rows if row["runner"] == name]
        equal = sum(row["equal"] for row in own) / sum(row["voxels"] for row in own)
        foreground = sum(row["equal_foreground"] for row in own) / sum(row["foreground"] for row in own)
        dice = np.array([row["dice"] for row in own])
        lines.append(
            f"| {name} | {100 * equal:.4f} % | {100 * foreground:.3f} % | {dice.mean():.4f} | {(dice - plain).mean():+.5f} "
            f"| {np.abs(dice - plain).max():.5f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for every number")
    options = parser.parse_args()
    models = runners()
    rows: list[dict] = []
    for case in tqdm(open_dataset(options.dataset).validation):
        rows += compare(case, models)
        if options.output:
            options.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
