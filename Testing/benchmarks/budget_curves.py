"""What a budget costs in Dice and saves in multiply-adds: a curve for each window policy, over cases that no policy learned from.

    mednextseg adapt --policy dynamic --model head-neck-ct --dataset TRAINING -o OUT --install
    python Testing/benchmarks/budget_curves.py DATASET --model head-neck-ct --policies coarse,dynamic -o curves.json --figure curves.png

DATASET is in nnU-Net's raw layout, of which the validation cases are taken, or a folder of volumes. Each case is segmented with each policy
and budget, and with every window; outputs of the network for the same voxels are remembered, so that a case costs little more than one run.
Multiply-adds are counted from shapes and depend on no machine; seconds are not measured. Dice is that to the reference labels, by their
names and where they were drawn, and that to the run over every window. Nothing is asserted.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from budget_figure import write_figure
from torch import Tensor
from tqdm import tqdm

from mednextseg import load_model
from mednextseg.adapt.mednext.dataset import open_dataset
from mednextseg.cases.channels import read_channels
from mednextseg.cases.folders import image_files
from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.models.learned_windows import installed_policy
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.policy_facts import KINDS
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.volume_io import read_volume

BUDGETS = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8)
TOLERANCE_MM = 1.0


@dataclass
class RememberingModel(LoadedModel):
    """Computes no window twice."""

    remembered: dict[bytes, Tensor] = field(default_factory=dict)

    def network_loaders(self, device: str, precision: str = "fp32") -> list[Callable]:
        return [lambda load=load: self._remembering(load()) for load in super().network_loaders(device, precision)]

    def _remembering(self, network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            key = hashlib.sha256(repr(x.shape).encode() + x.contiguous().numpy().tobytes()).digest()
            if key not in self.remembered:
                self.remembered[key] = network(x)
            return self.remembered[key]

        return run


@dataclass(frozen=True)
class Case:
    """Files of a case, its labels by name (None where there is no reference), and the reference."""

    name: str
    images: tuple[Path, ...]
    drawn: dict[str, int] | None = None
    reference: Path | None = None


@dataclass(frozen=True)
class Point:
    """One policy and budget on one case; Dice as mean over labels."""

    policy: str
    budget: float
    case: str
    multiply_adds: float
    windows: dict[str, int]
    dice: float | None
    dice_to_full: float


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--policies", default="coarse")
    parser.add_argument("--overlap", type=float, help="of neighboring windows; the card's without it")
    parser.add_argument("--cases", type=int, help="only the first so many cases")
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file")
    parser.add_argument("--figure", type=Path, help="PNG of the curves")
    options = parser.parse_args()
    opened, policies = load_model(options.model), options.policies.split(",")
    model = RememberingModel(opened.folder, opened.card)
    learned = [installed_policy(model.card, kind) for kind in policies if kind in KINDS]
    seen = {name for policy in learned if policy is not None for name in policy.facts.cases}
    cases = [case for case in cases_of(options.dataset, len(model.card.channels)) if case.name not in seen][: options.cases]
    points: list[Point] = []
    for case in tqdm(cases):
        points += points_of(case, model, policies, options.overlap)
        options.output.write_text(json.dumps([asdict(point) for point in points], indent=1), encoding="utf-8")
    rows = rows_of(points)
    print(f"{len(cases)} cases\n\n{table_of(rows)}")
    if options.figure is not None:
        write_figure(rows, model.card.id, options.figure)


def cases_of(folder: Path, channels: int) -> list[Case]:
    """Validation cases of a data set, or all volumes of a folder."""
    if not (folder / "dataset.json").is_file():
        return [Case(name, tuple(files)) for name, files in image_files(folder, channels).items()]
    dataset = open_dataset(folder)
    return [
        Case(case.name, case.images, {n: v for n, v in dataset.labels.items() if v and v not in case.absent}, case.label)
        for case in dataset.validation
    ]


def points_of(case: Case, model: RememberingModel, policies: list[str], overlap: float | None) -> list[Point]:
    """Every window, then all policies and budgets."""
    volume, geometry = read_channels(case.images)
    model.remembered.clear()
    ours = {label.name: label.value for label in model.card.labels}
    wanted = [("full", 1.0), *((policy, budget) for policy in policies for budget in BUDGETS)]
    full, points = None, []
    for policy, budget in wanted:
        recipe = SegmentRecipe(overlap=overlap, budget=budget, window_policy=policy)
        labelmap, report = segment(volume, geometry, model, recipe=recipe, device="cpu", whole=True)
        full = labelmap if full is None else full

        def dice(truth: np.ndarray, drawn: dict[str, int], found: np.ndarray = labelmap) -> float:
            measured = evaluate_pair(
                truth, found, geometry.spacing_kji_mm, drawn, TOLERANCE_MM, prediction_labels={n: ours[n] for n in drawn}
            )
            return float(np.mean([label["dice"] for label in measured.values()]))

        windows = {kind: getattr(report.windows, kind) for kind in ("full", "crop", "skip", "other")}
        reference = None if case.reference is None else dice(read_volume(case.reference)[0], case.drawn)
        points.append(Point(policy, budget, case.name, report.windows.multiply_adds, windows, reference, dice(full, ours)))
    return points


def rows_of(points: list[Point]) -> list[dict]:
    """Means over the cases, by policy and budget."""
    rows = []
    for policy, budget in dict.fromkeys((point.policy, point.budget) for point in points):
        here = [point for point in points if (point.policy, point.budget) == (policy, budget)]
        means = {
            name: float(np.mean([getattr(point, name) for point in here])) if getattr(here[0], name) is not None else None
            for name in ("multiply_adds", "dice", "dice_to_full")
        }
        windows = {kind: float(np.mean([point.windows[kind] for point in here])) for kind in here[0].windows}
        rows.append({"policy": policy, "budget": budget, "windows": windows, **means})
    return rows


def table_of(rows: list[dict]) -> str:
    """As markdown."""
    lines = [
        "| policy | budget | full | cropped | skipped | cheaper model | multiply-adds | Dice | Dice to every window |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        windows = " | ".join(f"{row['windows'][kind]:.1f}" for kind in ("full", "crop", "skip", "other"))
        share = row["multiply_adds"] / rows[0]["multiply_adds"]
        dice = "" if row["dice"] is None else f"{row['dice']:.3f}"
        cost = f"{row['multiply_adds'] / 1e9:.0f} G ({share:.0%})"
        lines.append(f"| {row['policy']} | {row['budget']:g} | {windows} | {cost} | {dice} | {row['dice_to_full']:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
