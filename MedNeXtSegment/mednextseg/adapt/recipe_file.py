"""The JSON file of a training recipe: read once, every value checked by the kind of its default."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from mednextseg.json_values import json_list, json_object, listed, number, read_json_object, text, whole_number, yes_or_no

# Nothing could be trained with none of these; of other whole numbers, 0 has a meaning.
_AT_LEAST_ONE = frozenset(
    (
        "batch_size",
        "max_steps",
        "validate_every",
        "save_every",
        "threads",
        "max_rounds",
        "view_size_px",
        "base_channels",
        "kernel_size",
    )
)


def recipe_values(path: str | Path, recipe_class: type, renamed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What to build a recipe from.

    Args:
        recipe_class: a dataclass; fields without a default must be in the file, `extra` takes what the class does not know.
        renamed: old name of a field -> its present one.
    Raises:
        OSError: where the file cannot be read.
        ValueError: where it is no JSON object, a required field is missing, or a value is of another kind than the field's default.
    """
    raw = {(renamed or {}).get(name, name): value for name, value in read_json_object(path).items()}
    known = {f.name: f for f in fields(recipe_class) if f.name != "extra"}
    required = [name for name, f in known.items() if _default(f) is MISSING]
    if missing := [name for name in required if name not in raw]:
        raise ValueError(f"{path}: the training recipe lacks {listed(missing)}; add them.")
    values = {name: _checked(value, known[name], path) for name, value in raw.items() if name in known}
    return {**values, "extra": {name: value for name, value in raw.items() if name not in known}}


def _default(recipe_field: Field) -> Any:
    return recipe_field.default if recipe_field.default_factory is MISSING else recipe_field.default_factory()


def _checked(value: Any, recipe_field: Field, path: str | Path) -> Any:
    """The value as the recipe keeps it: lists as tuples. A required field is text, unless it lists things."""
    what, default = f"{recipe_field.name} of {path}", _default(recipe_field)
    if default is MISSING:
        return text(value, what) if recipe_field.type in ("str", str) else frozen(json_list(value, what))
    return _like(value, default, what, 1 if recipe_field.name in _AT_LEAST_ONE else 0)


def _like(value: Any, default: Any, what: str, least: int) -> Any:
    if isinstance(default, bool):
        return yes_or_no(value, what)
    if isinstance(default, int):
        return whole_number(value, what, least)
    if isinstance(default, float):
        return number(value, what, 0)
    if isinstance(default, str):
        return text(value, what)
    if isinstance(default, Mapping):  # shares by name
        return {name: number(share, f"{name} of {what}", 0) for name, share in json_object(value, what).items()}
    return _tuple_like(json_list(value, what), default, what)


def _tuple_like(values: list, default: Sequence, what: str) -> tuple:
    """A list of numbers has as many as the default; other lists have any length, and their items are checked by what they are for."""
    if not default or not isinstance(default[0], int | float):
        return frozen(values)
    if len(values) != len(default):
        raise ValueError(f"{what} must be a list of {len(default)} numbers, got {len(values)}.")
    return tuple(_like(value, default[0], f"a number in {what}", 0) for value in values)


def frozen(value: Any) -> Any:
    """Lists, also inside of lists, as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def check_share(kept_of_start: float) -> None:
    """Raise ValueError where a recipe's share of the weights it starts from is none."""
    if not 0 <= kept_of_start <= 1:
        raise ValueError(f"kept_of_start of a training recipe is {kept_of_start:g}; it is a share, from 0 to 1.")
