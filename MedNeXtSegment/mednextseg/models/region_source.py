"""Where a model's regions come from: structures that another model, which looks at whole volumes, has found. Standard library only."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields

from mednextseg.json_values import json_list, json_object, listed, number, text, yes_or_no
from mednextseg.labels.label import Label
from mednextseg.labels.sides import LEFT, RIGHT, side_of


@dataclass(frozen=True)
class RegionSource:
    """A card's `region_from`.

    Attributes:
        model: id of the model that finds the structures.
        labels: names of that model's labels, around each of which lies a region.
        margin_mm: how far a region reaches beyond its structure.
        together: one region around all of the structures, which is never enlarged; labels get no side from it.
    """

    model: str
    labels: tuple[str, ...]
    margin_mm: float
    together: bool = False

    def __post_init__(self) -> None:
        text(self.model, "model of region_from")
        names = [text(name, "a label of region_from") for name in json_list(self.labels, "labels of region_from")]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"labels of region_from must name one structure at the least, and each once, got {listed(names) or 'none'}"
            )
        number(self.margin_mm, "margin_mm of region_from", low=1)
        yes_or_no(self.together, "together of region_from")

    @classmethod
    def from_dict(cls, raw: object) -> "RegionSource":
        """From JSON values; ValueError for other fields or values."""
        raw = json_object(raw, "region_from")
        names = [field.name for field in fields(cls) if field.default is MISSING]
        if not set(names) <= set(raw) <= {*names, "together"}:
            raise ValueError(
                f"region_from must have the fields {listed(names)}, and may have together, got {listed(raw) or 'none'}"
            )
        return cls(**{**raw, "labels": tuple(json_list(raw["labels"], "labels of region_from"))})

    def names_sides(self, labels: Sequence[Label]) -> bool:
        """Whether a fine model's labels get their side from the region: every region has a side and none of the labels has."""
        if self.together:
            return False
        return all(side_of(name) for name in self.labels) and not any(side_of(label.name) for label in labels)

    def side(self, name: str, labels: Sequence[Label]) -> str | None:
        """The side that a fine model's labels get in the region of this name; None for none."""
        return side_of(name) if self.names_sides(labels) else None

    def sides(self, labels: Sequence[Label]) -> tuple[str, ...]:
        """The sides on which a fine model's labels appear; () where they keep their names."""
        found = {self.side(name, labels) for name in self.labels}
        return tuple(side for side in (LEFT, RIGHT) if side in found)
