"""By which words a structure is found ("kidney" finds "ren"), and the part of the body it lies in. Standard library only."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from mednextseg.labels.codes import structure_of
from mednextseg.labels.names import canonical_name

_FILE = Path(__file__).with_name("structure_words.json")
SEVERAL_PARTS = "whole body"
# Labels of one part make a model of that part, though a few others reach into it.
_MOST = 0.6


def words_for(name: str) -> list[str]:
    """What a label can be called beside its name: another spelling, the structure's own name, and other words for it."""
    structure = _structure(name)
    if structure is None:
        return [canonical_name(name)]
    return [canonical_name(name), structure.replace("_", " "), *_table()["words"].get(structure, [])]


def body_part_of(names: Sequence[str]) -> str:
    """The part of the body that most of these labels lie in; "whole body" for several, empty where none is known."""
    parts = [_parts()[structure] for name in names if (structure := _structure(name)) in _parts()]
    if not parts:
        return ""
    part, count = Counter(parts).most_common(1)[0]
    return part if count >= _MOST * len(parts) else SEVERAL_PARTS


def body_parts() -> list[str]:
    """The parts there are, from head to limbs, and the whole body."""
    return [*_table()["body_parts"], SEVERAL_PARTS]


def _structure(name: str) -> str | None:
    """As the table of codes names it; by another word for it where the name is only that, with or without a side."""
    found = structure_of(name)
    if found is not None:
        return found
    key = canonical_name(name)
    side, _, rest = key.partition(" ")
    return _by_word().get(rest if side in ("left", "right") else key)


@lru_cache(maxsize=1)
def _by_word() -> dict[str, str]:
    """Word -> structure, where it means no other one."""
    meanings: dict[str, set[str]] = {}
    for structure, words in _table()["words"].items():
        for word in words:
            meanings.setdefault(word, set()).add(structure)
    return {word: next(iter(structures)) for word, structures in meanings.items() if len(structures) == 1}


@lru_cache(maxsize=1)
def _parts() -> dict[str, str]:
    return {structure: part for part, structures in _table()["body_parts"].items() for structure in structures}


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, list[str]]]:
    return json.loads(_FILE.read_text(encoding="utf-8"))
