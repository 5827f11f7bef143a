"""Several slices at each place of a DICOM series: time points, echoes or the like, told apart by their headers. Standard library only."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

# What tells images of one place apart, the surest first.
MOMENTS = {
    "temporal position": "0020|0100",
    "trigger time": "0018|1060",
    "acquisition number": "0020|0012",
    "acquisition time": "0008|0032",
    "echo time": "0018|0081",
}
_BY_NUMBER = "order of instance numbers"


@dataclass(frozen=True)
class TimePoints:
    """A series cut into whole stacks.

    Attributes:
        by: what tells them apart, and `values`, what it is in each of them.
        stacks: for each, the indices of its slices; every place once.
    """

    by: str
    values: tuple[str, ...]
    stacks: tuple[tuple[int, ...], ...]

    def chosen(self, number: int | None) -> tuple[int, ...]:
        """The slices of one, counted from 1.

        Raises:
            ValueError: where none or one that is not there is chosen.
        """
        count = len(self.stacks)
        if number is None or not 1 <= number <= count:
            shown = ", ".join(self.values[:8]) + (", ..." if count > 8 else "")
            problem = "" if number is None else f"there is no time point {number}: "
            raise ValueError(
                f"{problem}it holds {count} time points or the like (their {self.by}: {shown}); choose one with --time-point 1 to {count}"
            )
        return self.stacks[number - 1]


def time_points(places: Sequence[Hashable], moments: Sequence[Sequence[str]], numbers: Sequence[str]) -> TimePoints | None:
    """Cut a series into stacks that all have the same places; None where nothing in the headers does.

    Args:
        places: where each slice lies.
        moments: for each slice, what its header says for MOMENTS.
        numbers: for each slice, its instance number.
    """
    for by, texts in zip(MOMENTS, zip(*moments, strict=True), strict=True):
        if found := _stacks(places, texts):
            return TimePoints(by, *found)
    by_place = defaultdict(list)
    for index, place in enumerate(places):
        by_place[place].append(index)
    ranks = [""] * len(places)
    if all(number.strip().isdecimal() for number in numbers) and len({int(number) for number in numbers}) == len(numbers):
        for here in by_place.values():
            for rank, index in enumerate(sorted(here, key=lambda index: int(numbers[index])), start=1):
                ranks[index] = str(rank)
    found = _stacks(places, ranks)
    return None if found is None else TimePoints(_BY_NUMBER, *found)


def _stacks(places: Sequence[Hashable], texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None:
    groups = defaultdict(list)
    for index, text in enumerate(texts):
        groups[text].append(index)
    everywhere = set(places)
    if len(groups) < 2 or "" in groups:
        return None
    for group in groups.values():
        if len(group) != len(everywhere) or {places[index] for index in group} != everywhere:
            return None
    values = sorted(groups, key=_sortable)
    return tuple(values), tuple(tuple(groups[value]) for value in values)


def _sortable(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return float("inf"), text
