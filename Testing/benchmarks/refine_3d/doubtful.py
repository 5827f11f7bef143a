"""What three corrections gain on the slices that the panel says to check, and on the least sure, random, evenly spaced and worst ones."""

import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from objects import LabeledObject, hippocampi_by_label
from robot import carry_on, correct, dice, refinement_of, start

from mednextseg import load_model, segment
from mednextseg.evaluate.review import predict_review_slices
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.propagation import PropagatedSlice
from mednextseg.refine.refinement import Refinement

_CORRECTIONS, _SEEDS = 3, (0, 1)
_MODEL = "hippocampus-mr"
Choose = Callable[[Refinement, LabeledObject, int], int | None]


def table(targets: list[LabeledObject], prompter: Prompter, data: Path) -> None:
    """Print Dice before and after, within previews of whole objects and within results of a bundled model."""
    print(
        "| start | set | objects | before | to check | least sure | random | evenly spaced | most wrong |\n" + "|---" * 9 + "|"
    )
    by_set = defaultdict(list)
    for target in targets:
        by_set[target.dataset].append(_within_preview(target, prompter))
        print(f"{target.name} of {target.case}: {by_set[target.dataset][-1]}", file=sys.stderr, flush=True)
    for name, rows in by_set.items():
        _print_row("a stroke and Whole object", name, rows)
    _print_row(f"what {_MODEL} found", "hippocampus", [_within_result(*item, prompter) for item in _automatic(data)])


def _print_row(start_of: str, name: str, rows: list[tuple[float, ...]]) -> None:
    cells = ["" if np.isnan(mean) else f"{mean:.3f}" for mean in np.mean(rows, axis=0)]
    print(f"| {start_of} | {name} | {len(rows)} | {' | '.join(cells)} |", flush=True)


def _within_preview(target: LabeledObject, prompter: Prompter) -> tuple[float, ...]:
    """Dice before, and after three corrections, each carried on, on slices chosen in five ways."""
    refinement = refinement_of(target, prompter)
    start(refinement, target, "stroke")
    carry_on(refinement)
    before = dice(refinement.preview_segment(), target.truth_kji)
    chosen: list[list[Choose]] = [[_to_check], [_least_sure], [_random(seed) for seed in _SEEDS], [_spaced], [_most_wrong]]
    return (before, *(np.mean([_gone_on(refinement, target, way) for way in ways]) for ways in chosen))


def _gone_on(refinement: Refinement, target: LabeledObject, choose: Choose) -> float:
    """Dice after the corrections, which are undone again."""
    actions = len(refinement.journal.entries)
    for number in range(_CORRECTIONS):
        index = choose(refinement, target, number)
        if index is not None and correct(refinement, target, index):
            carry_on(refinement)
    after = dice(refinement.preview_segment(), target.truth_kji)
    for _action in range(len(refinement.journal.entries) - actions):
        refinement.undo()
    return after


def _indices(refinement: Refinement, target: LabeledObject) -> list[int]:
    """The slices of the preview."""
    return [_index_of(item, target) for item in refinement.preview_slices()]


def _index_of(item: PropagatedSlice, target: LabeledObject) -> int:
    return round(target.geometry.ijk_from_ras(item.plane.origin_ras)[2 - target.axis_kji])


def _to_check(refinement: Refinement, target: LabeledObject, _number: int) -> int | None:
    slices = refinement.slices_to_check()
    return _index_of(slices[0], target) if slices else None


def _least_sure(refinement: Refinement, target: LabeledObject, _number: int) -> int | None:
    sure = [item.confidence for item in refinement.preview_slices()]
    return _indices(refinement, target)[int(np.argmin(sure))] if sure else None


def _random(seed: int) -> Choose:
    def choose(refinement: Refinement, target: LabeledObject, number: int) -> int | None:
        indices = _indices(refinement, target)
        return int(np.random.default_rng((seed, number)).choice(indices)) if indices else None

    return choose


def _spaced(refinement: Refinement, target: LabeledObject, number: int) -> int | None:
    indices = sorted(_indices(refinement, target))
    return indices[round((number + 1) / (_CORRECTIONS + 1) * (len(indices) - 1))] if indices else None


def _most_wrong(refinement: Refinement, target: LabeledObject, _number: int) -> int | None:
    indices = _indices(refinement, target)
    wrong = target.pixels_by_slice(refinement.preview_segment() ^ target.truth_kji)
    return max(indices, key=lambda index: wrong[index]) if indices else None


def _automatic(data: Path) -> list[tuple[LabeledObject, np.ndarray, list[int]]]:
    """Each label with what the model found, and its slices, the most doubtful first."""
    model, found = load_model(_MODEL), []
    for targets in hippocampi_by_label(data / "hippocampus", 4):
        volume_kji, geometry = targets[0].volume_kji, targets[0].geometry
        labels_kji, report = segment(volume_kji, geometry, model)
        reviewed = predict_review_slices(volume_kji, geometry, model)
        for target, label in zip(targets, report.labels, strict=True):
            axis = 2 - target.axis_kji
            places = [round(geometry.ijk_from_ras(item.center_ras)[axis]) for item in reviewed if item.label == label.name]
            found.append((target, labels_kji == label.value, list(dict.fromkeys(places))))
    return found


def _within_result(target: LabeledObject, found_kji: np.ndarray, doubtful: list[int], prompter: Prompter) -> tuple[float, ...]:
    """As `_within_preview`, with one click on each slice and nothing carried on; slices are those that the model found something on."""
    indices = np.flatnonzero(target.pixels_by_slice(found_kji))
    spaced = [indices[round((number + 1) / (_CORRECTIONS + 1) * (len(indices) - 1))] for number in range(_CORRECTIONS)]
    drawn = [np.random.default_rng(seed).choice(indices, _CORRECTIONS, replace=False) for seed in _SEEDS]
    wrong = target.pixels_by_slice(found_kji ^ target.truth_kji)
    chosen = [[doubtful[:_CORRECTIONS]], drawn, [spaced], [np.argsort(-wrong, kind="stable")[:_CORRECTIONS]]]
    return (
        dice(found_kji, target.truth_kji),
        float("nan"),  # there is no preview with slices to check
        *(np.mean([_clicked(target, found_kji, slices, prompter) for slices in ways]) for ways in chosen),
    )


def _clicked(target: LabeledObject, found_kji: np.ndarray, slices, prompter: Prompter) -> float:
    refinement = refinement_of(target, prompter, found_kji)
    for index in slices:
        correct(refinement, target, int(index))
    return dice(refinement.preview_segment(), target.truth_kji)
