"""`mednextseg adapt --shots 1,2,5 --methods head,all`: what each method learns from how many cases, as one HTML page."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.json_values import shown

if TYPE_CHECKING:
    from mednextseg.adapt.tuning.cases import OwnCase
    from mednextseg.adapt.tuning.options import TuningOptions
    from mednextseg.adapt.tuning.progress import TuningState
    from mednextseg.models.loaded_model import LoadedModel


def add_to(parser: argparse.ArgumentParser) -> None:
    """Register the options of the curves."""
    parser.add_argument(
        "--shots", type=_counts, help="numbers of cases to learn from, such as 1,2,5: curves instead of one model"
    )
    parser.add_argument("--methods", help="comma-separated methods of the curves (head,all)")
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        default=None,
        help="with --shots: hold out each case once, so that few cases are all measured; as many trainings as cases",
    )


def draw(
    options: argparse.Namespace,
    base: "LoadedModel",
    cases: "Sequence[OwnCase]",
    wanted: "TuningOptions",
    device: str,
    show: "Callable[[TuningState], None]",
) -> int:
    """Train what is not there yet, write the page, print the table."""
    from mednextseg.adapt.tuning.shots.drawn_curves import draw_curves  # noqa: PLC0415

    methods = [name.strip() for name in (options.methods or "head,all").split(",")]
    drawn = draw_curves(
        base, cases, Path(options.output), options.shots, methods, wanted, bool(options.leave_one_out), device, show
    )
    print(json.dumps(drawn.to_dict()) if options.json else f"{drawn.table}\n{drawn.page}")
    return 0


def _counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"--shots needs whole numbers with commas, got {shown(text)}") from None
