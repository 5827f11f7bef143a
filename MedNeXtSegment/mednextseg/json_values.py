"""Values from files that people and other programs write: JSON in any Unicode encoding, and checks that end in one sentence.

Standard library only. Every check takes `what`, the subject of its sentence ("the recipe's overlap"), and raises ValueError.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

_LARGEST = sys.float_info.max


def read_json(path: str | Path) -> Any:
    """The content of a JSON file in UTF-8, 16 or 32, with or without a byte order mark.

    Raises:
        OSError: where the file cannot be read.
        ValueError: naming the file, where it is no JSON, or gives a name twice: readers of JSON keep the last one in silence.
    """
    try:
        return json.loads(Path(path).read_bytes(), object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from error


def _each_once(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    name, count = Counter(name for name, _ in entries).most_common(1)[0] if entries else ("", 0)
    if count > 1:
        raise ValueError(f"the name {shown(name)} stands there {count} times in one object, keep one of them")
    return dict(entries)


def read_json_object(path: str | Path) -> dict[str, Any]:
    """As `read_json`, for files that must hold one JSON object."""
    return json_object(read_json(path), str(path))


def json_object(value: object, what: str) -> dict[str, Any]:
    """The value where it is a JSON object (with text as keys)."""
    if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
        raise ValueError(f"{what} must be one JSON object, got {shown(value)}.")
    return dict(value)


def json_list(value: object, what: str) -> list[Any]:
    """The value where it is a list."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{what} must be a list, got {shown(value)}.")
    return list(value)


def text(value: object, what: str) -> str:
    """The value where it is text."""
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text, got {shown(value)}.")
    return value


def yes_or_no(value: object, what: str) -> bool:
    """The value where it is true or false; 0, 1 and words are not."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} must be true or false, got {shown(value)}.")
    return value


def number(value: Any, what: str, low: float = -math.inf) -> float:
    """The value where it is a finite number of at least `low`; text and truth values are none."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value or not abs(value) <= _LARGEST:  # NaN is neither
        least = "" if low == -math.inf else f" of at least {low:g}"
        raise ValueError(f"{what} must be a number{least}, got {shown(value)}.")
    return float(value)


def whole_number(value: Any, what: str, low: int, high: int | None = None) -> int:
    """The value where it is a whole number from `low` to `high`; 2.0 is one, text and truth values are none."""
    is_whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not is_whole or value < low or (high is not None and value > high):
        span = f"from {low} on" if high is None else f"from {low} to {high}"
        raise ValueError(f"{what} must be a whole number {span}, got {shown(value)}.")
    return int(value)


def one_of(value: object, what: str, allowed: Collection[str]) -> str:
    """The value where it is one of these texts."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{what} must be one of {', '.join(allowed)}, got {shown(value)}.")
    return value


def listed(names: Iterable[object]) -> str:
    """Names of files, labels or fields as sentences list them: a name with line breaks or other controls is quoted."""
    return ", ".join(str(name) if str(name).isprintable() else shown(str(name)) for name in names)


def shown(value: object) -> str:
    """A value as sentences quote it: whole where it is short."""
    quoted = repr(value)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}..."
