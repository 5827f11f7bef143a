"""What "Repair all slices" does to segments that are wrong in different ways: Dice before and after."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from objects import HEAD_NECK, LabeledObject, hippocampi_by_label
from robot import dice, refinement_of
from scipy import ndimage

from mednextseg import load_model, segment
from mednextseg.adapt.click_net.clicks import degraded_mask
from mednextseg.cases.splits import read_split
from mednextseg.refine.prompter import Prompter
from mednextseg.volume_io import read_volume


def _slice_by_slice(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[LabeledObject], np.ndarray]:
    """A change of each slice that has something of the object; one that would empty it is left out."""

    def changed(target: LabeledObject) -> np.ndarray:
        layers = np.moveaxis(target.truth_kji.copy(), target.axis_kji, 0)
        for number in np.flatnonzero(layers.any(axis=(1, 2))):
            other = change(layers[number])
            layers[number] = other if other.any() else layers[number]
        return np.moveaxis(layers, 0, target.axis_kji)

    return changed


def _mediocre(target: LabeledObject) -> np.ndarray:
    generator = np.random.default_rng(0)
    return _slice_by_slice(lambda mask_rc: degraded_mask(mask_rc, generator) > 0.5)(target)


def _without_every_third(target: LabeledObject) -> np.ndarray:
    layers = np.moveaxis(target.truth_kji.copy(), target.axis_kji, 0)
    layers[np.flatnonzero(layers.any(axis=(1, 2)))[1::3]] = False
    return np.moveaxis(layers, 0, target.axis_kji)


_WRONG = {
    "nothing: the truth itself": lambda target: target.truth_kji,
    "one pixel too thin": _slice_by_slice(ndimage.binary_erosion),
    "one pixel too thick": _slice_by_slice(ndimage.binary_dilation),
    "moved by 1 row, 2 columns": _slice_by_slice(lambda mask_rc: np.roll(mask_rc, (1, 2), (0, 1))),
    "every third slice missing": _without_every_third,
    "warped, cut, extended": _mediocre,
}


def table(targets: list[LabeledObject], prompter: Prompter, data: Path) -> None:
    """Print Dice before and after, by what was wrong and by set; and for the bundled models' own results."""
    print(
        "| what is wrong | set | segments | Dice before | after | better | worse | slices left as they were |\n"
        + "|---" * 8
        + "|"
    )
    for wrong, make in _WRONG.items():
        _print_rows(wrong, [(target, make(target)) for target in targets], prompter)
    for model_id, results in _automatic(data):
        _print_rows(f"what {model_id} found", results, prompter)


def _print_rows(wrong: str, segments: list[tuple[LabeledObject, np.ndarray]], prompter: Prompter) -> None:
    by_set: dict[str, list] = defaultdict(list)
    for target, before_kji in segments:
        before = dice(before_kji, target.truth_kji)
        after, left = _repaired(target, before_kji, prompter)
        by_set[target.dataset].append((before, after, left))
        print(f"{wrong}: {target.name} of {target.case} {before:.3f} {after:.3f}", file=sys.stderr, flush=True)
    for name, rows in by_set.items():
        before, after, left = np.mean(rows, axis=0)
        better, worse = (sum(sign * (row[1] - row[0]) > 0.005 for row in rows) for sign in (1, -1))
        print(f"| {wrong} | {name} | {len(rows)} | {before:.3f} | {after:.3f} | {better} | {worse} | {left:.0%} |", flush=True)


def _repaired(target: LabeledObject, before_kji: np.ndarray, prompter: Prompter) -> tuple[float, float]:
    """Dice after the repair, and the share of slices whose answers were not taken."""
    refinement = refinement_of(target, prompter, before_kji)
    try:
        changed, count = refinement.repair_slices(target.plane(target.volume_kji.shape[target.axis_kji] // 2))
    except ValueError:  # no answer agrees with the segment, or it is empty
        return dice(before_kji, target.truth_kji), 1.0
    return dice(refinement.preview_segment(), target.truth_kji), 1.0 - changed / count


def _automatic(data: Path) -> Iterator[tuple[str, list[tuple[LabeledObject, np.ndarray]]]]:
    """What bundled models find in cases that they were not trained on, with the truth."""
    model, results = load_model("hippocampus-mr"), []
    for targets in hippocampi_by_label(data / "hippocampus", 4):
        found_kji, report = segment(targets[0].volume_kji, targets[0].geometry, model)
        results += [(target, found_kji == label.value) for target, label in zip(targets, report.labels, strict=True)]
    yield "hippocampus-mr", results
    folder, model, results = data / "openkbp_headneck", load_model("head-neck-ct"), []
    for case in read_split(folder / "split.json").validation[:2]:
        volume_kji, geometry = read_volume(folder / "images" / f"{case}_0000.nii.gz")
        labels_kji, _ = read_volume(folder / "labels" / f"{case}.nii.gz")
        found_kji, report = segment(volume_kji, geometry, model)
        values = {label.name: label.value for label in report.labels}
        target = LabeledObject("OpenKBP", case, "", volume_kji, geometry, labels_kji > 0, (-160.0, 240.0))
        for name, value in HEAD_NECK.items():
            if (labels_kji == value).any():  # else it was not contoured
                results.append((replace(target, name=name, truth_kji=labels_kji == value), found_kji == values[name]))
    yield "head-neck-ct", results
