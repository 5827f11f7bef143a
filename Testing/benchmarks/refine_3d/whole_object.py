"""How far one, three and five interactions reach: with Whole object after each, beside the same on single slices."""

import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
from objects import LabeledObject
from robot import carry_on, correct, dice, most_wrong, refinement_of, start

from mednextseg.refine.prompter import Prompter

_INTERACTIONS = (1, 3, 5)
_STARTS = ("stroke", "box")
_WAYS = (*_STARTS, "boxes", "single slices")


def figures_of(target: LabeledObject, prompter: Prompter) -> dict[str, dict[int, float]]:
    """{way: {interactions: Dice}}, with the seconds of the processor under "seconds"."""
    found: dict[str, dict[int, float]] = {}
    for kind in _STARTS:
        found[kind], seconds = _interactive(target, prompter, kind, is_carried_on=True)
        found[f"{kind}, seconds"] = seconds
    found["boxes"], found["boxes, seconds"] = _by_boxes(target, prompter)
    found["single slices"], _seconds = _interactive(target, prompter, "stroke", is_carried_on=False)
    found["a click on each slice"] = {1: _each_slice(target, prompter)}
    return found


def _interactive(target: LabeledObject, prompter: Prompter, kind: str, is_carried_on: bool) -> tuple[dict, dict]:
    refinement, dices, seconds = refinement_of(target, prompter), {}, {}
    begun = time.process_time()
    for number in range(1, max(_INTERACTIONS) + 1):
        if number == 1:
            start(refinement, target, kind)
        else:
            index = most_wrong(target, refinement.preview_segment())
            on_it = target.on_slice(refinement.preview_segment(), index).any()
            if on_it or is_carried_on:
                correct(refinement, target, index)
            else:  # a slice without anything yet: a first click
                start(refinement, target, "click", index)
        if is_carried_on:
            carry_on(refinement)
        if number in _INTERACTIONS:
            dices[number] = dice(refinement.preview_segment(), target.truth_kji)
            seconds[number] = time.process_time() - begun
    return dices, seconds


def _by_boxes(target: LabeledObject, prompter: Prompter) -> tuple[dict, dict]:
    """Each interaction a box around the object on another slice, the most wrong one; a click where nothing of it is."""
    refinement, dices, seconds = refinement_of(target, prompter), {}, {}
    begun, worked_on = time.process_time(), []
    for number in range(1, max(_INTERACTIONS) + 1):
        wrong = target.pixels_by_slice(refinement.preview_segment() ^ target.truth_kji)
        wrong[worked_on] = 0
        index = int(wrong.argmax()) if worked_on else int(target.pixels_by_slice(target.truth_kji).argmax())
        if target.on_slice(target.truth_kji, index).any():
            start(refinement, target, "box", index)
        else:
            correct(refinement, target, index)
        worked_on.append(index)
        carry_on(refinement)
        if number in _INTERACTIONS:
            dices[number] = dice(refinement.preview_segment(), target.truth_kji)
            seconds[number] = time.process_time() - begun
    return dices, seconds


def _each_slice(target: LabeledObject, prompter: Prompter) -> float:
    refinement = refinement_of(target, prompter)
    for index in np.flatnonzero(target.pixels_by_slice(target.truth_kji)):
        start(refinement, target, "click", int(index))
    return dice(refinement.preview_segment(), target.truth_kji)


def table(targets: list[LabeledObject], prompter: Prompter, _data: Path) -> None:
    """Print the figures set by set, and each object's."""
    columns = [f"{way}, {n}" for way in _WAYS for n in _INTERACTIONS]
    print(f"| set | objects | {' | '.join(columns)} | a click on each slice | slices | CPU seconds for 3 |")
    print("|---" * (len(columns) + 5) + "|")
    rows = []
    for name, group in groupby(targets, lambda target: target.dataset):
        items = []
        for target in group:
            items.append((target, figures_of(target, prompter)))
            print(f"{target.name} of {target.case}: {items[-1][1]}", file=sys.stderr, flush=True)
        cells = [_mean(items, way, n) for way in _WAYS for n in _INTERACTIONS]
        slices = np.mean([np.count_nonzero(target.pixels_by_slice(target.truth_kji)) for target, _found in items])
        seconds = np.median([found["stroke, seconds"][3] for _target, found in items])
        each = _mean(items, "a click on each slice", 1)
        print(f"| {name} | {len(items)} | {' | '.join(cells)} | {each} | {slices:.0f} | {seconds:.1f} |", flush=True)
        rows += items
    print("\n| object | case | " + " | ".join(f"{way}, 3" for way in _WAYS) + " |\n" + "|---" * 5 + "|")
    for target, found in sorted(rows, key=lambda row: row[1]["stroke"][3]):
        print(f"| {target.name} | {target.case} | " + " | ".join(f"{found[way][3]:.3f}" for way in _WAYS) + " |")


def _mean(items: list, way: str, number: int) -> str:
    return f"{np.mean([found[way][number] for _target, found in items]):.3f}"
