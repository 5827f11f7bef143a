"""How a card says that found labels are cleaned up: label by label, and several labels taken together."""

from dataclasses import dataclass

from mednextseg.json_values import json_list, json_object, number, text, yes_or_no


@dataclass(frozen=True)
class Postprocessing:
    """Clean-up of one label: keep its largest component, drop components below a volume, fill its holes."""

    keep_largest: bool = False
    min_volume_mm3: float = 0.0
    fill_holes: bool = False

    def __post_init__(self) -> None:
        yes_or_no(self.keep_largest, "keep_largest of a label's clean-up")
        yes_or_no(self.fill_holes, "fill_holes of a label's clean-up")
        number(self.min_volume_mm3, "min_volume_mm3 of a label's clean-up", low=0)


@dataclass(frozen=True)
class ComponentRule:
    """Of some labels taken together, the largest connected part is kept (all parts of that size) and the rest becomes background.

    Attributes:
        labels: names.
        connectivity: "faces" (6 neighbors) or "corners" (26).
        keep_from_mm3: smaller parts of at least this volume are kept too; None keeps none.
    """

    labels: tuple[str, ...]
    connectivity: str = "faces"
    keep_from_mm3: float | None = None

    def __post_init__(self) -> None:
        if self.connectivity not in ("faces", "corners"):
            raise ValueError(f'a component rule\'s connectivity must be "faces" or "corners", got {self.connectivity!r}.')
        for name in self.labels:
            text(name, "a label of a component rule")
        if self.keep_from_mm3 is not None:
            number(self.keep_from_mm3, "keep_from_mm3 of a component rule", low=0)

    @classmethod
    def from_dict(cls, raw: dict) -> "ComponentRule":
        """From JSON values; ValueError or TypeError for other fields or values."""
        raw = json_object(raw, "a component rule")
        return cls(**{**raw, "labels": tuple(json_list(raw.get("labels"), "labels of a component rule"))})
