"""Classes of the whole-head models, and what the values of two labelings say about them.

A value of a labeling becomes a code: that of a class, or that of a set of classes where the labeling draws by another protocol (see
adapt/mednext/partial_labels.py). FreeSurfer's table is that of the label maps for synthetic heads, MUSE that of the real ones.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

_TABLE = Path(__file__).with_name("structures.json")
_LARGEST_VALUE = 1024
BACKGROUND = "background"


@dataclass(frozen=True)
class Structures:
    """Classes and codes.

    Attributes:
        classes: name of each class; 0 is the background.
        open_codes: name of each further code.
        allowed: (codes, classes) bool: what a code may be.
        mirrored: (codes,) the code with left and right exchanged.
        joins: labeling -> (values,) the code of each value.
        tissue: (values,) number of the intensity class of a FreeSurfer value, the same for both sides.
        mixtures: (tissues, 3) shares of white matter, gray matter and fluid; zeros where an image's contrast is not tied.
    """

    classes: tuple[str, ...]
    open_codes: tuple[str, ...]
    allowed: Tensor
    mirrored: Tensor
    joins: dict[str, Tensor]
    tissue: Tensor
    mixtures: Tensor

    def code(self, name: str) -> int:
        """Of a class or of an open code."""
        return (*self.classes, *self.open_codes).index(name)


@cache
def structures() -> Structures:
    """The table of structures.json."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    paired, midline, open_sets = table["paired"], table["midline"], table["open"]
    classes = (
        BACKGROUND,
        *(f"left {entry['name']}" for entry in paired),
        *(f"right {entry['name']}" for entry in paired),
        *(entry["name"] for entry in midline),
    )
    codes = {name: code for code, name in enumerate((*classes, *(entry["name"] for entry in open_sets)))}
    allowed = torch.eye(len(codes), len(classes), dtype=torch.bool)
    mirrored = torch.arange(len(codes))
    for entry in open_sets:
        names = classes if entry["allowed"] == "all" else entry["allowed"]
        allowed[codes[entry["name"]], [codes[name] for name in names]] = True
        mirrored[codes[entry["name"]]] = codes[entry.get("mirror", entry["name"])]
    for name, other in (("left", "right"), ("right", "left")):
        for entry in paired:
            mirrored[codes[f"{name} {entry['name']}"]] = codes[f"{other} {entry['name']}"]
    joins = {labeling: _join(table, codes, labeling) for labeling in ("freesurfer", "muse")}
    return Structures(classes, tuple(list(codes)[len(classes) :]), allowed, mirrored, joins, *_tissues(table))


def _join(table: dict, codes: dict[str, int], labeling: str) -> Tensor:
    rest = [entry["name"] for entry in table["open"] if entry.get(labeling) == "rest"]
    join = torch.full((_LARGEST_VALUE,), codes[rest[0]] if rest else 0)
    for entry in table["paired"]:
        for side, value in zip(("left", "right"), entry.get(labeling, ()), strict=False):
            join[value] = codes[f"{side} {entry['name']}"]
    for entry in table["midline"]:
        if labeling in entry:
            join[entry[labeling]] = codes[entry["name"]]
    for entry in table["open"]:
        if labeling in entry and entry[labeling] != "rest":
            join[entry[labeling]] = codes[entry["name"]]
    for value, same_as in table["also"].get(labeling, {}).items():
        join[int(value)] = join[same_as]
    return join


def _tissues(table: dict) -> tuple[Tensor, Tensor]:
    tissue, mixtures = torch.arange(_LARGEST_VALUE), torch.zeros(_LARGEST_VALUE, 3)
    for right, left in table["right_to_left"].items():
        tissue[int(right)] = left
    for value, mixture in table["tissues"].items():
        if value.isdigit():
            mixtures[int(value)] = torch.tensor(mixture, dtype=torch.float32)
    return tissue, mixtures
