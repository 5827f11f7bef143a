"""What each option of a recipe does to Dice, on labeled cases that the model was never trained on.

    python Testing/benchmarks/recipe_options.py DATASET -o results.json

DATASET is in nnU-Net's raw layout; its validation cases are segmented by the bundled hippocampus model, once with its card's settings and
once with each option below (options that differ in clean-up share one run of the network). Printed is the table of docs/options.md:
differences to the card's settings over the same cases, with 95 % bootstrap intervals by case. Nothing is asserted.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mednextseg import load_model, segment
from mednextseg.adapt.mednext.dataset import LabeledCase, open_dataset
from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.finish.clean_labels import clean_labels
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.volume_io import read_volume

MODEL = "hippocampus-mr"
TOLERANCE_MM = 1.0
LABELS = ("Anterior hippocampus", "Posterior hippocampus")
MIRRORED, TURNS = ["mirror_k", "mirror_j", "mirror_i"], ["rot90_ki", "rot180_ki", "rot270_ki"]
RAW = {name: {"keep_largest": False} for name in LABELS}


def steps(**step: object) -> dict:
    return {"postprocessing": {name: {"keep_largest": False, **step} for name in LABELS}}


def scaled(scheme: str) -> dict:
    return {"normalization": {"T1": {"scheme": scheme}}}


OPTIONS: dict[str, dict] = {
    "as the card says": {},
    "no clean-up": {"postprocessing": RAW},
    "largest component of both labels together": {"postprocessing": RAW, "component_rules": [{"labels": list(LABELS)}]},
    "remove below 20 mm3": steps(min_volume_mm3=20.0),
    "remove below 80 mm3": steps(min_volume_mm3=80.0),
    "largest component and filled holes": steps(keep_largest=True, fill_holes=True),
    "normalization minmax": scaled("minmax"),
    "normalization percentile_zscore": scaled("percentile_zscore"),
    "normalization none": scaled("none"),
    "overlap 0.25": {"overlap": 0.25},
    "TTA: mirror image the card allows (I)": {"tta": True},
    "TTA: all seven views": {"tta": True, "tta_views": MIRRORED + TURNS},
    "TTA: three quarter turns (K-I plane)": {"tta": True, "tta_views": TURNS},
    "TTA: three mirror images (K, J, I)": {"tta": True, "tta_views": MIRRORED},
}
CLEAN_UP = ("postprocessing", "component_rules")


@dataclass(frozen=True)
class Measured:
    """One option over all cases: Dice as mean of both labels by case, HD95 of every label that was found."""

    name: str
    dice: list[float]
    hd95_mm: list[float]
    forward_passes: float


class Runs:
    """Labelmaps before clean-up, by the settings that the network sees; each is made once.

    Args:
        cases: labeled ones.
        model: that segments them.
    """

    def __init__(self, cases: tuple[LabeledCase, ...], model: LoadedModel) -> None:
        self.model = model
        self._images = [read_volume(case.images[0]) for case in cases]
        self.references_kji = [read_volume(case.label)[0] for case in cases]
        self._found: dict[str, list[tuple[np.ndarray, int]]] = {}

    def measure(self, name: str, raw_recipe: dict) -> Measured:
        """Segment every case with one recipe and compare it with its reference."""
        seen = {key: value for key, value in raw_recipe.items() if key not in CLEAN_UP}
        key = json.dumps(seen, sort_keys=True)
        if key not in self._found:
            recipe = SegmentRecipe.from_dict({**seen, "postprocessing": RAW})
            self._found[key] = [self._segmented(*image, recipe) for image in tqdm(self._images, desc=name)]
        card = SegmentRecipe.from_dict(raw_recipe).applied_to(self.model.card)
        values = {label.name: label.value for label in card.labels}
        dice, hd95_mm = [], []
        for (labelmap_kji, _), reference_kji, (_, geometry) in zip(
            self._found[key], self.references_kji, self._images, strict=True
        ):
            cleaned_kji = clean_labels(labelmap_kji, card, geometry.voxel_volume_mm3)
            found = evaluate_pair(reference_kji, cleaned_kji, geometry.spacing_kji_mm, values, TOLERANCE_MM).values()
            dice.append(float(np.mean([label["dice"] for label in found])))
            # Undefined (None) where a label was not found at all; the mean then covers fewer labels.
            hd95_mm.extend(label["hd95_mm"] for label in found if label["hd95_mm"] is not None)
        return Measured(name, dice, hd95_mm, float(np.mean([passes for _, passes in self._found[key]])))

    def _segmented(self, volume_kji: np.ndarray, geometry: Geometry, recipe: SegmentRecipe) -> tuple[np.ndarray, int]:
        labelmap_kji, report = segment(volume_kji, geometry, self.model, recipe=recipe, device="cpu")
        return labelmap_kji, report.windows.forward_passes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for every number")
    parser.add_argument("--cases", type=int, help="only the first so many cases")
    options = parser.parse_args()
    runs = Runs(open_dataset(options.dataset).validation[: options.cases], load_model(MODEL))
    results = []
    for name, raw in OPTIONS.items():
        results.append(runs.measure(name, raw))
        options.output.write_text(json.dumps([asdict(result) for result in results], indent=1))
    print(f"{len(runs.references_kji)} cases\n\n{table(results)}")


def table(results: list[Measured]) -> str:
    """Markdown."""
    reference = results[0]
    lines = [
        "| option | Dice | difference [95 %] | cases better / worse | HD95, mm | network passes |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        gain = np.array(result.dice) - reference.dice
        low, high = interval(gain)
        change = f"{gain.mean():+.5f} [{low:+.5f}, {high:+.5f}]" if result is not reference else ""
        counts = f"{(gain > 1e-6).sum()} / {(gain < -1e-6).sum()}" if result is not reference else ""
        means = f"{np.mean(result.dice):.4f} | {change} | {counts} | {np.mean(result.hd95_mm):.2f}"
        lines.append(f"| {result.name} | {means} | {result.forward_passes:.1f} |")
    return "\n".join(lines)


def interval(gain: np.ndarray, resamples: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean, by case."""
    drawn = np.random.default_rng(0).integers(0, len(gain), (resamples, len(gain)))
    low, high = np.percentile(gain[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
