"""`mednextseg adapt --shots 1,2,5 --methods head,all`: what each method learns from how many cases, as one HTML page."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mednextseg.files import write_text
from mednextseg.json_values import shown

if TYPE_CHECKING:
    from mednextseg.adapt.tuning.cases import OwnCase
    from mednextseg.adapt.tuning.options import TuningOptions
    from mednextseg.adapt.tuning.progress import TuningState
    from mednextseg.models.loaded_model import LoadedModel

PAGE, TABLE, FIGURES = "shots.html", "shots.txt", "shots.json"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Register the options of the curves."""
    parser.add_argument(
        "--shots", type=_counts, help="numbers of cases to learn from, such as 1,2,5: curves instead of one model"
    )
    parser.add_argument("--methods", default="head,all", help="comma-separated methods of the curves (head,all)")


def draw(
    options: argparse.Namespace,
    base: "LoadedModel",
    cases: "Sequence[OwnCase]",
    wanted: "TuningOptions",
    device: str,
    show: "Callable[[TuningState], None]",
) -> int:
    """Train what is not there yet, write the page, print the table."""
    from mednextseg.adapt.tuning.shots.curves import shot_curves  # noqa: PLC0415
    from mednextseg.adapt.tuning.shots.shots_page import shots_page, shots_table  # noqa: PLC0415

    methods, folder = [name.strip() for name in options.methods.split(",")], Path(options.output)
    cells = shot_curves(base, cases, folder, options.shots, methods, wanted, device, show)
    write_text(folder / FIGURES, json.dumps([asdict(cell) for cell in cells], indent=1, ensure_ascii=False) + "\n")
    write_text(folder / TABLE, shots_table(cells) + "\n")
    write_text(folder / PAGE, shots_page(cells, base.card.id, len(cases) - _learnable(cases, wanted)))
    if options.json:
        print(json.dumps({"page": str(folder / PAGE), "cells": [asdict(cell) for cell in cells]}))
    else:
        print(f"{shots_table(cells)}\n{folder / PAGE}")
    return 0


def _learnable(cases: "Sequence[OwnCase]", wanted: "TuningOptions") -> int:
    from mednextseg.adapt.tuning.folds import fold_cases  # noqa: PLC0415

    return len(fold_cases([case.name for case in cases], wanted.held_out).final)


def _counts(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"--shots needs whole numbers with commas, got {shown(text)}") from None
