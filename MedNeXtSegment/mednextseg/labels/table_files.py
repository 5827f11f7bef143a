"""Label tables as people and programs write them in JSON: names to numbers, numbers to names, regions, the name of a public data set."""

from collections.abc import Mapping
from typing import Any

from mednextseg.json_values import json_object, shown, text, whole_number
from mednextseg.labels.names import LabelTable, canonical_name, label_table

_NO_STRUCTURES = ("background", "ignore")


def table_from_json(raw: Mapping[str, Any] | str) -> LabelTable:
    """A table from JSON.

    Args:
        raw: the name of a public table; name -> number or list of numbers, as in nnU-Net v2's dataset.json; or number -> name, as in
            that of v1 and in the Medical Segmentation Decathlon. Numbers may be written as text. Background and ignored voxels are
            left out.
    Raises:
        ValueError: for an unknown table, a table without structures, or numbers that are no positive whole numbers.
    """
    if isinstance(raw, str):
        return label_table(raw)
    entries = json_object(raw, "a label table")
    table: dict[str, tuple[int, ...]] = {}
    for name, values in _by_name(entries):
        listed = values if isinstance(values, list | tuple) else (values,)
        numbers = tuple(_number(value, name) for value in listed)
        if canonical_name(name) in _NO_STRUCTURES or numbers == (0,):
            continue
        if not numbers or 0 in numbers:
            raise ValueError(f"the label {name!r} needs positive whole numbers, got {shown(values)}.")
        table[name] = (*table.get(name, ()), *numbers)
    if not table:
        raise ValueError("a label table must name at least one structure beside the background.")
    return table


def is_bare_table(entries: Mapping[str, Any]) -> bool:
    """Whether a whole file is a table: {"1": "liver"}, or {"background": 0, "liver": 1}; other numbers may count something else."""
    if entries and all(_is_number(key) for key in entries):
        return all(isinstance(name, str) for name in entries.values())
    background = {canonical_name(name): value for name, value in entries.items()}.get("background")
    return background in (0, "0", [0]) and not isinstance(background, bool)


def _by_name(entries: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(name, numbers), whichever way round the table is written."""
    is_by_number = bool(entries) and all(_is_number(key) for key in entries)
    if is_by_number and not any(_is_number(value) for value in entries.values()):
        return [(text(name, f"the name of label {number}"), number) for number, name in entries.items()]
    return list(entries.items())


def _is_number(value: object) -> bool:
    return not isinstance(value, str) or value.strip().isdecimal()


def _number(value: object, name: str) -> int:
    read = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    return whole_number(read, f"the number of the label {name!r}", 0)
