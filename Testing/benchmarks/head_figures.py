"""How well a whole-head model draws each structure on heads it was never trained on, beside brainchop's MeshNet on the same heads.

    python Testing/benchmarks/head_figures.py PACKAGE --data ../shared/data --output build/head_figures.json
    python Testing/benchmarks/head_figures.py PACKAGE --data ../shared/data --sets ixi mni --meshnet MESHNET

MESHNET is ../shared/data/brainchop_meshnet_MIT/model30chan18cls, for instance.

Each head (see head_sets.py) goes through a whole run (`mednextseg.segment`, default settings, no region). Its labels are brought to the
grid of the reference and compared there; voxels that the reference leaves open, or the scan does not show, count neither for nor
against a structure. Beside
MeshNet, whose classes join both sides, ours are joined, too. Intervals are 95 % bootstrap intervals of the mean over heads.
The output file holds the rows of a card's `metrics`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from head_sets import SETS, LabeledHead
from meshnet import MeshNet
from torch import Tensor

from mednextseg import load_model, segment
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.validation import ALIKE, dice_of_groups, dice_of_structures
from mednextseg.files import write_text
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.recipe import SegmentRecipe

_RESAMPLES, _SEED = 2000, 0
# MeshNet's words, where they are not ours.
_MESHNET_WORDS = {"3rd ventricle": "third ventricle", "4th ventricle": "fourth ventricle", "accumbens area": "accumbens"}


@dataclass(frozen=True)
class HeadResult:
    """Figures of one head: Dice of every class (classes,) and of every structure with both sides joined, of ours and of MeshNet."""

    kind: str
    name: str
    seconds: float
    dice: Tensor
    joined: Tensor
    peer: Tensor | None


def joined_structures() -> dict[str, list[int]]:
    """Structure without its side -> its classes."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(structures().classes):
        if number:
            found.setdefault(name.removeprefix("left ").removeprefix("right "), []).append(number)
    return found


def results_of(
    heads: Iterator[LabeledHead], model: LoadedModel, recipe: SegmentRecipe, peer: MeshNet | None
) -> Iterator[HeadResult]:
    """Run both networks over each head."""
    groups = list(joined_structures().values())
    for head in heads:
        start = time.perf_counter()
        labelmap, report = segment(head.volume_kji, head.geometry, model, recipe=recipe)
        seconds = time.perf_counter() - start
        classes = np.zeros(int(labelmap.max()) + 1, dtype=np.int64)
        for label in report.labels:
            if label.value < len(classes):
                classes[label.value] = structures().classes.index(label.name)
        ours, codes = head.compared(classes[labelmap])
        theirs = None if peer is None else head.compared(_classes_of(peer)[peer.segment(head.volume_kji, head.geometry)])[0]
        yield HeadResult(
            head.kind,
            head.name,
            seconds,
            dice_of_structures(ours, codes),
            dice_of_groups(ours, codes, groups),
            None if theirs is None else dice_of_groups(theirs, codes, groups),
        )


def _classes_of(peer: MeshNet) -> np.ndarray:
    """For each of MeshNet's classes one of ours, of the left side; sides are joined before anything is compared."""
    joined = joined_structures()
    words = [name.lower().replace("-", " ").replace("ventraldc", "ventral DC") for name in peer.names]
    return np.array([joined.get(_MESHNET_WORDS.get(word, word), [0])[0] for word in words])


def interval(values: Tensor) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over cases."""
    picks = np.random.default_rng(_SEED).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values.numpy()[picks].mean(axis=1), (2.5, 97.5))
    return round(float(low), 3), round(float(high), 3)


def metrics_of(kind: str, results: list[HeadResult]) -> list[dict]:
    """Rows for a card: every structure that the references of one kind of heads draw."""
    rows = []
    dice = torch.stack([result.dice for result in results])
    for label, column in zip(structures().classes[1:], dice.T[1:], strict=True):
        found = column[~column.isnan()]
        if len(found):
            numbers = {"mean": round(float(found.mean()), 3), "minimum": round(float(found.min()), 3)}
            spread = {"interval_95": interval(found)} if len(found) > 2 else {}
            data = f"{len(found)} head{'s' if len(found) > 1 else ''}, {kind}, never trained on"
            rows.append({"metric": "Dice", "data": data, "label": label, **numbers, **spread})
    return rows


def print_kind(kind: str, results: list[HeadResult]) -> None:
    """Tables of one kind of heads: structures, then heads."""
    print(f"\n## {kind}\n\n| structure | mean Dice | 95 % | lowest |\n|---|---|---|---|")
    for row in metrics_of(kind, results):
        spread = "{:.3f} to {:.3f}".format(*row["interval_95"]) if "interval_95" in row else ""
        print(f"| {row['label']} | {row['mean']:.3f} | {spread} | {row['minimum']:.3f} |")
    joined = list(joined_structures())
    peers = ["MeshNet"] if results[0].peer is not None else []
    print("\n| head | " + " | ".join(["alike structures", *(f"{p}, the same" for p in peers), "seconds"]) + " |")
    print("|---" * (3 + len(peers)) + "|")
    alike = [joined.index(name) for name in ALIKE]
    for result in results:
        means = [float(values[alike].nanmean()) for values in (result.joined, result.peer) if values is not None]
        print(f"| {result.name} | " + " | ".join(f"{mean:.3f}" for mean in means) + f" | {result.seconds:.1f} |", flush=True)


def main() -> None:
    """Print the tables and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="id or folder of the package")
    parser.add_argument(
        "--data", required=True, type=Path, help="folder with ixi_brain, brain_singles, mini3d and synthseg_labels"
    )
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--meshnet", type=Path, help="folder of brainchop's network, to compare with")
    parser.add_argument("--mirrored", action="store_true", help="average each window and its mirror image")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    model, peer = load_model(options.model), None if options.meshnet is None else MeshNet(options.meshnet)
    recipe, rows = SegmentRecipe(tta=options.mirrored), []
    for name in options.sets:
        found = results_of(SETS[name](options.data), model, recipe, peer)
        for kind, results in groupby(found, key=lambda result: result.kind):
            of_kind = list(results)
            print_kind(kind, of_kind)
            rows += metrics_of(kind, of_kind)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.output, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
