"""dataset.json of nnU-Net in every form that its versions accept: names of channels and labels, whichever way round they are written."""

from collections.abc import Mapping
from typing import Any

from mednextseg.json_values import json_list, json_object, shown, text, whole_number

_NO_LABELS = ("background", "ignore")


def channel_names(dataset: Mapping[str, Any], count: int) -> list[str]:
    """Names of the channels in the network's order; "channel N" where none is given.

    Raises:
        ValueError: for something that is no list and no table of names.
    """
    given = dataset.get("channel_names") or dataset.get("modality") or {}
    if isinstance(given, list | tuple):
        given = dict(enumerate(given))
    elif all(_is_number(number) for number in json_object(given, "channel_names of dataset.json").values()):
        given = {number: name for name, number in given.items()}
    by_number = {int(number): str(name) for number, name in given.items() if _is_number(number)}
    return [by_number.get(number, f"channel {number}") for number in range(count)]


def label_values(dataset: Mapping[str, Any]) -> tuple[list[tuple[int, str]], bool]:
    """(value, name) in the order of the network's outputs behind the background, and whether they are overlapping regions.

    Raises:
        ValueError: where labels are missing or wrong, or regions come without the order they are painted in.
    """
    table = json_object(dataset.get("labels"), "labels of dataset.json")
    if table and all(_is_number(key) for key in table) and not any(_is_number(value) for value in table.values()):
        table = {text(name, f"the name of label {number}"): number for number, name in table.items()}
    named = {name: value for name, value in table.items() if name.lower() not in _NO_LABELS}
    is_regions = any(isinstance(value, list | tuple) and len(value) > 1 for value in named.values())
    if not is_regions:
        values = {name: _value(value, name) for name, value in named.items()}
        return sorted((value, name) for name, value in values.items()), False
    painted = dataset.get("regions_class_order")
    if not painted or len(json_list(painted, "regions_class_order")) != len(named):
        raise ValueError(
            "dataset.json has regions but no regions_class_order that fits them; without it labels cannot be painted."
        )
    return [(_value(value, name), name) for value, name in zip(painted, named, strict=True)], True


def foreground_values(dataset: Mapping[str, Any]) -> list[int]:
    """The numbers that voxels of the training labels have, ascending: a cascade's channels. Of regions, those they are made of.

    Raises:
        ValueError: as `label_values`.
    """
    labels, is_regions = label_values(dataset)
    if not is_regions:
        return [value for value, _ in labels]
    parts = [value for name, value in dataset["labels"].items() if name.lower() not in _NO_LABELS]
    flat = [number for value in parts for number in (value if isinstance(value, list | tuple) else [value])]
    return sorted({_value(number, "a region") for number in flat} - {0})


def _is_number(value: object) -> bool:
    return (
        value.strip().isdecimal() if isinstance(value, str) else isinstance(value, int | float) and not isinstance(value, bool)
    )


def _value(value: object, name: str) -> int:
    single = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    if isinstance(single, str) and single.strip().isdecimal():
        single = int(single)
    if isinstance(single, list | tuple):
        raise ValueError(f"the label {name!r} of dataset.json has no number of its own, got {shown(value)}.")
    return whole_number(single, f"the label {name!r} of dataset.json", 1)
