"""Label names -> SNOMED CT codes and Slicer's colors; names that are not in the table stay plain.

The table, terminology_codes.json, holds structures by their canonical name (`Structure` of TotalSegmentator, lower case, words joined by
underscores), other spellings of data sets as synonyms, and the label order of the published STU-Net weights.
"""

import colorsys
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from mednextseg.labels.label import Label

_FILE = Path(__file__).with_name("terminology_codes.json")
_ANATOMY = ("SCT", "123037004", "Anatomical Structure")
_SIDES = {"left": ("SCT", "7771000", "Left"), "right": ("SCT", "24028007", "Right")}
_SIDE_WORDS = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
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


def _find(name: str) -> tuple[dict[str, Any] | None, str | None]:
    """The structure a name means and its side: first the name as it is, then without a word for the side."""
    table = _table()
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if (whole := _structure(table, words)) is not None:
        return whole, None
    sides = [_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS]
    if len(sides) != 1:
        return None, None
    structure = _structure(table, [word for word in words if word not in _SIDE_WORDS])
    return (structure, sides[0]) if structure is not None and structure.get("paired") else (None, None)


def _structure(table: dict[str, Any], words: list[str]) -> dict[str, Any] | None:
    key = "_".join(words)
    return table["structures"].get(table["synonyms"].get(key, key))


def _distinct_color(value: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN_RATIO % 1, 0.6, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(_FILE.read_text(encoding="utf-8"))
