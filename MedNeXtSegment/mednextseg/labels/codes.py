"""Label names -> SNOMED CT codes and Slicer's colors; names that are not in the table stay plain.

The table, terminology_codes.json, holds structures as TotalSegmentator names them (lower case, words joined by underscores), names of data
sets that mean the same as synonyms, and the label order of the published STU-Net weights. Spellings are `canonical_name`'s matter.
"""

import colorsys
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from mednextseg.labels.label import Label
from mednextseg.labels.names import canonical_name

_FILE = Path(__file__).with_name("terminology_codes.json")
_ANATOMY = ("SCT", "123037004", "Anatomical Structure")
_SIDES = {"left": ("SCT", "7771000", "Left"), "right": ("SCT", "24028007", "Right")}
# Successive hues this far apart stay distinct for any number of labels.
_GOLDEN_RATIO = 0.618033988749895


def coded_label(value: int, name: str) -> Label:
    """A label with the codes and color of its name; a name that is not known keeps no codes and gets a color of its own."""
    structure, side = _find(name)
    if structure is None:
        return Label(value, name, _distinct_color(value))
    terminology = {"category": tuple(structure.get("category", _ANATOMY)), "type": tuple(structure["type"])}
    if "region" in structure:
        terminology["region"] = tuple(structure["region"])
    if side is not None:
        terminology["region_modifier" if "region" in structure else "type_modifier"] = _SIDES[side]
    return Label(value, name, tuple(structure.get("color", _distinct_color(value))), terminology)


def stu_net_labels() -> list[str]:
    """Names of the 104 structures of the published STU-Net weights, in the order of their label values from 1 on."""
    return list(_table()["stu_net_labels"])


def structure_of(name: str) -> str | None:
    """The entry of the table that a name means, without its side; None for a name that is not known."""
    structure, _ = _find(name)
    return next((key for key, entry in _table()["structures"].items() if entry is structure), None)


def _find(name: str) -> tuple[dict[str, Any] | None, str | None]:
    """The structure a name means and its side: first the name as it is, then without a word for the side."""
    table, key = _table()["structures"], canonical_name(name)
    if key in _structure_names():
        return table[_structure_names()[key]], None
    side, _, rest = key.partition(" ")
    structure = table.get(_structure_names().get(rest, "")) if side in _SIDES else None
    return (structure, side) if structure is not None and structure.get("paired") else (None, None)


@lru_cache(maxsize=1)
def _structure_names() -> dict[str, str]:
    """Canonical name -> entry of the table, for every structure and synonym."""
    names = {canonical_name(synonym): structure for synonym, structure in _table()["synonyms"].items()}
    return names | {canonical_name(structure): structure for structure in _table()["structures"]}


def _distinct_color(value: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN_RATIO % 1, 0.6, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8"))
