"""Measuring a prompter with the robot user: Dice after clicks, clicks to a Dice, boxes, and repairing a mask.

The protocol is that of the interactive segmentation literature made stricter: failures at the cap are
counted apart, boxes are jittered, and baselines that need no network stand beside every figure.
"""

import time
from dataclasses import dataclass

import numpy as np

from mednextseg.adapt.click_net.clicks import SimulatedUser, degraded_mask, drawn_box
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.slices.slice_session import SliceSession

CLICK_COUNTS = (1, 3, 5, 10)
TARGETS = (0.85, 0.90)
CLICK_CAP = 20
JITTERS = (0.0, 0.05, 0.10)
REPAIR_CLICKS = (1, 3)
NOTICED_DROP = 0.01  # of Dice; less is the border of the object wavering


@dataclass(frozen=True, eq=False)
class Target:
    """One object to be segmented: a slice, its mask, and where it comes from (`case` for statistics by patient)."""

    image_rc: np.ndarray
    truth_rc: np.ndarray
    dataset: str
    group: str
    case: str
    label: int


def measure(prompter: Prompter, target: Target, click_cap: int = CLICK_CAP) -> dict[str, float]:
    """All figures of one prompter on one object.

    Returns:
        "d1", "d3", ...: Dice after so many clicks; "clicks_to_85", "clicks_to_90": clicks needed, the cap where it was not
        reached, and "failed_85", "failed_90": 1 where it was not; "box_0", "box_5", "box_10": Dice from a box with so many
        percent of jitter; "repair_1", "repair_3": Dice after clicks on a degraded mask; "worse": share of clicks that
        lowered the Dice; "lowered": by more than NOTICED_DROP; "obeyed": share of clicked pixels with their label; "click_ms":
        median time of a click.
    """
    generator = np.random.default_rng([len(target.case), target.label, int(target.truth_rc.sum())])
    embedding = prompter.encode(target.image_rc, (1.0, 1.0), (0.0, 1.0))
    curve, worse, lowered, obeyed, times = _click_curve(prompter, embedding, target.truth_rc, None, click_cap)
    scores = {f"d{count}": curve[min(count, len(curve)) - 1] for count in CLICK_COUNTS}
    for goal in TARGETS:
        reached = [n for n, dice in enumerate(curve, start=1) if dice >= goal]
        scores[f"clicks_to_{goal * 100:.0f}"] = float(reached[0] if reached else click_cap)
        scores[f"failed_{goal * 100:.0f}"] = float(not reached)
    for jitter in JITTERS:
        box = np.array(drawn_box(target.truth_rc, jitter, generator))
        mask = prompter.predict(embedding, Prompts(box=box)).mask
        scores[f"box_{jitter * 100:.0f}"] = hard_dice(mask, target.truth_rc)
    start = degraded_mask(target.truth_rc, generator)
    repaired, *_ = _click_curve(prompter, embedding, target.truth_rc, start, max(REPAIR_CLICKS), stop_at=1.0)
    scores.update({f"repair_{count}": repaired[min(count, len(repaired)) - 1] for count in REPAIR_CLICKS})
    return {**scores, "worse": worse, "lowered": lowered, "obeyed": obeyed, "click_ms": 1000.0 * float(np.median(times))}


def measure_baselines(target: Target) -> dict[str, float]:
    """What needs no prompter: the ellipse inscribed in the (jittered) box, and the degraded mask left as it is."""
    generator = np.random.default_rng([len(target.case), target.label, int(target.truth_rc.sum())])
    scores = {}
    for jitter in JITTERS:
        box = np.array(drawn_box(target.truth_rc, jitter, generator))
        scores[f"ellipse_{jitter * 100:.0f}"] = hard_dice(ellipse_in(box, target.truth_rc.shape), target.truth_rc)
    scores["unchanged"] = hard_dice(degraded_mask(target.truth_rc, generator) > 0.5, target.truth_rc)
    scores["ellipse_click"] = hard_dice(_disk_at_first_click(target.truth_rc), target.truth_rc)
    return scores


def ellipse_in(box: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the ellipse that touches all four sides of a half-open box."""
    r0, c0, r1, c1 = box
    rows, cols = np.ogrid[: shape_rc[0], : shape_rc[1]]
    return ((rows + 0.5 - (r0 + r1) / 2) / ((r1 - r0) / 2)) ** 2 + ((cols + 0.5 - (c0 + c1) / 2) / ((c1 - c0) / 2)) ** 2 <= 1.0


def _disk_at_first_click(truth_rc: np.ndarray) -> np.ndarray:
    """A disk of 5 % of the slice's side around the first click: what a click alone tells without looking at the image."""
    row, col = SimulatedUser().first_click(truth_rc)
    rows, cols = np.ogrid[: truth_rc.shape[0], : truth_rc.shape[1]]
    return (rows - row) ** 2 + (cols - col) ** 2 <= (0.05 * max(truth_rc.shape)) ** 2


def _click_curve(
    prompter: Prompter, embedding, truth_rc: np.ndarray, start: np.ndarray | None, cap: int, stop_at: float = TARGETS[-1]
) -> tuple[list[float], float, float, float, list[float]]:
    """Dice after each robot click, and what `measure` calls worse, lowered, obeyed and times.

    It ends at the cap, or when `stop_at` is reached after the last click count that is reported.
    """
    user, session = SimulatedUser(), SliceSession(prompter, embedding, start)
    dices, drops, followed, times = [], [], [], []
    last = 0.0 if start is None else hard_dice(start > 0.5, truth_rc)
    while len(dices) < cap and not (len(dices) >= CLICK_COUNTS[-1] and max(dices) >= stop_at):
        click = user.correction(session.mask, truth_rc)
        if click is None:
            break
        row, col, label = click
        started = time.perf_counter()
        session.add_point((row, col), bool(label))
        times.append(time.perf_counter() - started)
        dices.append(hard_dice(session.mask, truth_rc))
        drops.append(last - dices[-1])
        followed.append(bool(session.mask[row, col]) == bool(label))
        last = dices[-1]
    if not dices:
        return [last], 0.0, 0.0, 1.0, [0.0]
    worse, lowered = (float(np.mean(np.array(drops) > limit)) for limit in (1e-9, NOTICED_DROP))
    return dices, worse, lowered, float(np.mean(followed)), times
