"""The curves from end to end: what is not there yet is trained, then page, table and figures are written into the folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mednextseg.adapt.locked_folder import locked
from mednextseg.adapt.tuning.cases import OwnCase
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.adapt.tuning.progress import TuningReport
from mednextseg.adapt.tuning.shots.curves import ShotCell, folds_of_curves, shot_curves
from mednextseg.adapt.tuning.shots.shots_page import shots_page, shots_table
from mednextseg.files import write_text
from mednextseg.models.loaded_model import LoadedModel

PAGE, TABLE, FIGURES = "shots.html", "shots.txt", "shots.json"


@dataclass(frozen=True)
class DrawnCurves:
    """What is in the folder: the HTML page, the table as text, and the points."""

    page: Path
    table: str
    cells: tuple[ShotCell, ...]

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return {"page": str(self.page), "table": self.table, "cells": [asdict(cell) for cell in self.cells]}


def draw_curves(
    base: LoadedModel,
    cases: Sequence[OwnCase],
    folder: Path,
    shots: Sequence[int],
    methods: Sequence[str],
    options: TuningOptions,
    leave_one_out: bool = False,
    device: str = "cpu",
    report: TuningReport = lambda progress: None,
    cancelled: Callable[[], bool] | None = None,
) -> DrawnCurves:
    """Draw them; arguments and errors as of `shot_curves`, and RuntimeError where another program works in the folder."""
    with locked(folder) as place:
        cells = shot_curves(base, cases, place, shots, methods, options, leave_one_out, device, report, cancelled)
        folds = folds_of_curves([case.name for case in cases], options.held_out, leave_one_out)
        drawn = DrawnCurves(place / PAGE, shots_table(cells), tuple(cells))
        write_text(place / FIGURES, json.dumps([asdict(cell) for cell in cells], indent=1, ensure_ascii=False) + "\n")
        write_text(place / TABLE, drawn.table + "\n")
        write_text(drawn.page, shots_page(cells, base.card.id, folds))
    return drawn
