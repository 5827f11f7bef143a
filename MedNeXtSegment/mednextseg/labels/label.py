"""A label: one structure, by name, with its number, color and codes. Standard library only."""

from dataclasses import dataclass, field

Code = tuple[str, str, str]


@dataclass(frozen=True)
class Label:
    """One structure. Names come first: the value is only this model's number for it.

    Attributes:
        color: red, green, blue in 0..255.
        terminology: codes as (scheme, value, meaning) under "category", "type" and, where they apply, "type_modifier", "region",
            "region_modifier"; empty where the name has no code.
    """

    value: int
    name: str
    color: tuple[int, int, int]
    terminology: dict[str, Code] = field(default_factory=dict)
