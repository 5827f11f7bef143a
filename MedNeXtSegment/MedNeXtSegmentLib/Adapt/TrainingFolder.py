"""What an adaptation leaves in its folder while it runs: its plan and its curves.

The worker writes them whole, so that they can be read at any time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from mednextseg.json_values import read_json_object


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        steps: at which it was looked at, ascending.
        losses: mean since the look before.
        dice: of the held-out cases, on one patch of each; None where there are none.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    dice: tuple[float | None, ...]


def plannedSteps(folder: Path) -> int | None:
    """Of each training; None before they are worked out."""
    try:
        steps = read_json_object(folder / "plan.json").get("steps")
    except (OSError, ValueError):  # none yet, or a file of another program: the worker will say so
        return None
    return steps if isinstance(steps, int) else None


def curvesIn(folder: Path) -> list[Curve]:
    """Of every training that was begun, in their order; without those that cannot be read."""
    logs = sorted(folder.glob("part_*/log.jsonl"), key=lambda log: (len(log.parent.name), log.parent.name))
    curves = [_curve(log) for log in (*logs, folder / "result" / "log.jsonl")]
    return [curve for curve in curves if curve is not None]


def _curve(log: Path) -> Curve | None:
    try:
        entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        fields = ("step", "training_loss", "held_out_dice")
        return Curve(*(tuple(entry[name] for entry in entries) for name in fields))
    except (OSError, ValueError, KeyError):  # not begun, or of another program
        return None
