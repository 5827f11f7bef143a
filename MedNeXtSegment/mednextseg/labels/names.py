"""Structures are joined by name, never by number: spelling, unions, tolerances and slice ranges.

Public evaluation scripts have indexed tolerances by position in one data set's order and applied them in another's, so that the
stomach was judged with the gallbladder's tolerance. Here everything is keyed by the canonical name.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mednextseg.json_values import listed
from mednextseg.labels.tables import LABEL_TABLES

LabelTable = Mapping[str, tuple[int, ...]]

# Deviation in mm up to which a surface counts as right. Abdominal organs: A-Eval (Huang et al., arXiv:2309.03906), whose script
# assigns them by position; these are the ones it names. Hippocampus: one voxel of its data. Others: DEFAULT_TOLERANCE_MM.
TOLERANCES_MM: dict[str, float] = {
    "liver": 5.0,
    "right kidney": 3.0,
    "left kidney": 3.0,
    "kidney": 3.0,
    "spleen": 3.0,
    "pancreas": 5.0,
    "gallbladder": 2.0,
    "esophagus": 3.0,
    "stomach": 5.0,
    "right adrenal gland": 2.0,
    "left adrenal gland": 2.0,
    "adrenal gland": 2.0,
    "aorta": 2.0,
    "inferior vena cava": 2.0,
    "duodenum": 7.0,
    "anterior hippocampus": 1.0,
    "posterior hippocampus": 1.0,
    "hippocampus": 1.0,
}
DEFAULT_TOLERANCE_MM = 2.0

# Tubes that run on beyond where the annotator stopped: compared between the reference's first and last slice only (A-Eval).
AXIAL_RANGE_LABELS = frozenset({"aorta", "inferior vena cava", "esophagus"})

# A structure and the parts that make it up, for data sets that draw the line elsewhere; each way to divide it is a tuple.
UNIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "kidney": (("left kidney", "right kidney"),),
    "adrenal gland": (("left adrenal gland", "right adrenal gland"),),
    "left lung": (("left upper lung lobe", "left lower lung lobe"),),
    "right lung": (("right upper lung lobe", "right middle lung lobe", "right lower lung lobe"),),
    "lung": (("left lung", "right lung"),),
    "femur": (("left femur", "right femur"),),
    "hip": (("left hip", "right hip"),),
    "hippocampus": (("anterior hippocampus", "posterior hippocampus"), ("left hippocampus", "right hippocampus")),
}

_SIDES = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}
_SPELLINGS = {
    "gall bladder": "gallbladder",
    "oesophagus": "esophagus",
    "postcava": "inferior vena cava",
    "ivc": "inferior vena cava",
    "svc": "superior vena cava",
    "bladder": "urinary bladder",
    "intestine": "small bowel",
    "small intestine": "small bowel",
    "hepatic portal vein": "portal vein and splenic vein",
    "adrenal": "adrenal gland",
    "suprarenal gland": "adrenal gland",
    "upper lobe lung": "upper lung lobe",
    "middle lobe lung": "middle lung lobe",
    "lower lobe lung": "lower lung lobe",
    "lung upper lobe": "upper lung lobe",
    "lung middle lobe": "middle lung lobe",
    "lung lower lobe": "lower lung lobe",
    "clavicula": "clavicle",
    "iliac vena": "iliac vein",
    "common iliac artery": "iliac artery",
    "common iliac vein": "iliac vein",
    "prostate uterus": "prostate or uterus",
    "hippocampus anterior": "anterior hippocampus",
    "hippocampus posterior": "posterior hippocampus",
    "hippocampus head": "anterior hippocampus",
    "lungs": "lung",
    "kidneys": "kidney",
    "adrenal glands": "adrenal gland",
}
_WORDS = {"tumour": "tumor", "oedema": "edema"}


@dataclass(frozen=True)
class LabelPair:
    """One structure on both sides.

    Attributes:
        name: as the reference spells it (the canonical name for a union that the reference lacks as such).
        key: canonical name.
        reference_values, prediction_values: the numbers that make it up on each side.
    """

    name: str
    key: str
    reference_values: tuple[int, ...]
    prediction_values: tuple[int, ...]

    @property
    def tolerance_mm(self) -> float:
        """Of the surface Dice."""
        return TOLERANCES_MM.get(self.key, DEFAULT_TOLERANCE_MM)


@dataclass(frozen=True)
class LabelJoin:
    """The structures two label tables share, and those only one of them has (by its own spelling)."""

    pairs: tuple[LabelPair, ...]
    only_reference: tuple[str, ...]
    only_prediction: tuple[str, ...]


def canonical_name(name: str) -> str:
    """One spelling for a structure: "kidney_right", "Right Kidney" and "kidney R" are all "right kidney"."""
    words = [_WORDS.get(word, word) for word in re.findall(r"(?:non[^a-z0-9]+)?[a-z0-9]+", name.lower())]
    words = ["".join(re.findall(r"[a-z0-9]+", word)) for word in words]
    sides = [word for word in words if word in _SIDES]
    if len(sides) == 1 and len(words) > 1:
        rest = " ".join(word for word in words if word not in _SIDES)
        return f"{_SIDES[sides[0]]} {_SPELLINGS.get(rest, rest)}"
    joined = " ".join(words)
    vertebra = re.fullmatch(r"vertebrae? ([ctls]\d+)", joined)
    return f"vertebra {vertebra[1]}" if vertebra else _SPELLINGS.get(joined, joined)


def join_labels(reference: LabelTable, prediction: LabelTable, unions: Collection[str] = ()) -> LabelJoin:
    """Match two label tables by name.

    A union ("kidney") is matched with all its parts ("left kidney", "right kidney") where one side has only those, or where the
    sides divide it differently (left and right, anterior and posterior); a side that lacks a part does not have the union.

    Args:
        unions: names of unions to match as well where both sides have the same parts.
    Raises:
        ValueError: where the two have no structure in common, one of them names a structure twice, or a union is not known.
    """
    wanted = {canonical_name(name) for name in unions}
    if not wanted <= set(UNIONS):
        raise ValueError(f"there is no union {listed(sorted(wanted - set(UNIONS)))}; known: {listed(UNIONS)}.")
    theirs, ours = _by_key(prediction, "prediction"), _by_key(reference, "reference")
    pairs = [
        LabelPair(name, key, tuple(reference[name]), tuple(prediction[theirs[key]]))
        for key, name in ours.items()
        if key in theirs
    ]
    used_parts: set[str] = set()
    for union in UNIONS:
        sides = (reference, ours), (prediction, theirs)
        is_whole = [union in names for _, names in sides]
        parts_match = any(all(_values_of(part, *side) for side in sides) for part in _parts(union))
        if all(is_whole) or (not any(is_whole) and parts_match and union not in wanted):
            continue
        reference_values, prediction_values = (_values_of(union, *side) for side in sides)
        if reference_values and prediction_values:
            pairs.append(LabelPair(ours.get(union, union), union, reference_values, prediction_values))
            used_parts |= {union, *_parts(union)}
    if not pairs:
        raise ValueError(
            f"reference ({listed(reference) or 'no labels'}) and prediction ({listed(prediction) or 'no labels'}) share no "
            "label name; name the labels in a --labels file."
        )
    matched = {pair.key for pair in pairs} | used_parts
    return LabelJoin(
        pairs=tuple(pairs),
        only_reference=tuple(name for key, name in ours.items() if key not in matched),
        only_prediction=tuple(name for key, name in theirs.items() if key not in matched),
    )


def label_table(name: str) -> LabelTable:
    """A public data set's table, by its name in LABEL_TABLES (any case).

    Raises:
        ValueError: listing the tables there are.
    """
    for known, table in LABEL_TABLES.items():
        if known.lower() == name.lower():
            return table
    raise ValueError(f"there is no label table {name!r}; known: {listed(LABEL_TABLES)}.")


def names_in(text: str, known: Collection[str]) -> list[str]:
    """The names of a comma-separated list, among which may be known names that have commas of their own; blanks around names do not count.

    Raises:
        ValueError: for a list without names.
    """
    parts = text.split(",")
    # From the end: the way to divide what follows that has the fewest unknown names, then the fewest names.
    ways: list[tuple[int, int, list[str]]] = [(0, 0, [])]
    for start in range(len(parts) - 1, -1, -1):
        choices = ((",".join(parts[start:stop]).strip(), ways[len(parts) - stop]) for stop in range(start + 1, len(parts) + 1))
        ways.append(
            min(
                (unknown + (name not in known), count + 1, [name, *rest])
                for name, (unknown, count, rest) in choices
                if name in known or "," not in name
            )
        )
    names = ways[-1][2]
    names = [name for name in names if name or name in known]
    if not names:
        raise ValueError(f"the list {text!r} holds no names; give them separated by commas.")
    return names


def _by_key(table: LabelTable, side: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name in table:
        key = canonical_name(name)
        if key in keys:
            raise ValueError(f"the {side} names the same structure twice: {keys[key]!r} and {name!r}; rename one of them.")
        keys[key] = name
    return keys


def _values_of(key: str, table: LabelTable, names: Mapping[str, str]) -> tuple[int, ...]:
    """Numbers of a structure, put together from its parts where the table has only those; empty where a part is missing."""
    if key in names:
        return tuple(table[names[key]])
    for way in UNIONS.get(key, ()):
        parts = [_values_of(part, table, names) for part in way]
        if all(parts):
            return tuple(value for part in parts for value in part)
    return ()


def _parts(key: str) -> set[str]:
    """All structures that a union is put together from, at any depth."""
    return {name for way in UNIONS.get(key, ()) for part in way for name in (part, *_parts(part))}
