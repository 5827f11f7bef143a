"""The side that a name says, and labels that get one. Standard library only."""

from collections.abc import Sequence

from mednextseg.labels.label import Label
from mednextseg.labels.names import canonical_name

LEFT, RIGHT = "left", "right"
_CODES = {LEFT: ("SCT", "7771000", "Left"), RIGHT: ("SCT", "24028007", "Right")}


def side_of(name: str) -> str | None:
    """ "left" or "right" where a structure's name says so, in any spelling; else None."""
    first, _, rest = canonical_name(name).partition(" ")
    return first if rest and first in _CODES else None


def without_side(name: str) -> str:
    """The canonical name of the structure, whichever side it is on."""
    canonical = canonical_name(name)
    return canonical.partition(" ")[2] if side_of(name) else canonical


def on_sides(labels: Sequence[Label], sides: Sequence[str]) -> dict[str, list[Label]]:
    """Every label once for each side, named and numbered apart: "left anterior hippocampus".

    Args:
        labels: of a model that knows one side at a time.
        sides: "left", "right" or both.
    Returns:
        side -> labels in the same order. The first side keeps their numbers. A label with a type modifier of its own has no room for
        the side in its codes, which then only its name says.
    """
    largest = max((label.value for label in labels), default=0)
    return {side: [_on_side(label, side, number * largest) for label in labels] for number, side in enumerate(sides)}


def _on_side(label: Label, side: str, offset: int) -> Label:
    is_word = label.name[1:2].islower()  # not an abbreviation such as "DC"
    name = label.name[:1].lower() + label.name[1:] if is_word else label.name
    codes = dict(label.terminology)
    if codes:
        codes.setdefault("type_modifier", _CODES[side])
    return Label(label.value + offset, f"{side} {name}", label.color, codes)
