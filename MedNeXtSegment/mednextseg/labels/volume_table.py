"""Volumes as clinicians read them: structure by structure, left against right, and what several structures amount to together.

Standard library only.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mednextseg.labels.sides import LEFT, RIGHT, side_of, without_side

COLUMNS = ("segment", "volume_ml", "asymmetry_percent")


@dataclass(frozen=True)
class VolumeRow:
    """A line of the table.

    Attributes:
        name: of the structure, or of a total.
        volume_ml: in milliliters.
        asymmetry_percent: how much larger the left side is than the right one, in percent of the mean of both; the same for the two
            rows of a pair. None without the other side, or where both are empty.
        is_total: whether the volume is the sum of other rows.
    """

    name: str
    volume_ml: float
    asymmetry_percent: float | None = None
    is_total: bool = False

    @property
    def values(self) -> tuple[str, float, float | str]:
        """For COLUMNS; an asymmetry that there is not is empty."""
        return self.name, self.volume_ml, "" if self.asymmetry_percent is None else self.asymmetry_percent


def volume_rows(volumes_ml: Mapping[str, float], totals: Mapping[str, Sequence[str]]) -> list[VolumeRow]:
    """The structures in their order, then the totals all of whose structures are there.

    Args:
        volumes_ml: by the structure's name.
        totals: name -> structures that are added up, as a card's `totals`.
    """
    of_side = {(side_of(name), without_side(name)): volume for name, volume in volumes_ml.items()}
    rows = []
    for name, volume in volumes_ml.items():
        pair = [of_side.get((side, without_side(name))) for side in (LEFT, RIGHT)] if side_of(name) else [None]
        rows.append(VolumeRow(name, volume, None if None in pair else asymmetry_percent(*pair)))
    for name, parts in totals.items():
        if all(part in volumes_ml for part in parts):
            rows.append(VolumeRow(name, sum(volumes_ml[part] for part in parts), is_total=True))
    return rows


def asymmetry_percent(left: float, right: float) -> float | None:
    """100 (left - right) / mean of both: positive where the left side is larger; None where both are empty."""
    return None if left + right == 0 else 200 * ((left - right) / (left + right))


def write_volumes(rows: Sequence[VolumeRow], path: str | Path, case: str, column: str = "case") -> None:
    """Write a CSV file in full precision, with the case in a first column of its own.

    Raises:
        OSError: where the file cannot be written.
    """
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([column, *COLUMNS])
        writer.writerows([case, *row.values] for row in rows)
