"""What an entry of a prompt journal may say: everything is checked before anything is done again."""

from collections.abc import Callable

import numpy as np

from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.strokes import check_stroke

_MOST_PIXELS = 1 << 26  # of a plane; no slice of a volume that fits into memory has as many
_MOST_SLICES = 100_000


def checked_entries(entries: object) -> list[dict]:
    """The entries of a journal.

    Raises:
        ValueError: in one sentence, for the first entry that is unknown, incomplete or says something impossible.
    """
    if not isinstance(entries, list):
        raise ValueError(f"the prompt journal is damaged: its entries are {type(entries).__name__}, a list is needed.")
    for number, entry in enumerate(entries):
        action = entry.get("action") if isinstance(entry, dict) else None
        if not isinstance(action, str) or action not in ACTIONS:
            raise ValueError(f"entry {number} of the journal has the action {action!r}; allowed are {', '.join(ACTIONS)}.")
        missing = [name for name in ACTIONS[action] if name not in entry]
        if missing:
            raise ValueError(f'entry {number} of the journal ("{action}") lacks {", ".join(missing)}.')
        for name, check in ACTIONS[action].items():
            try:
                check(entry[name])
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                reason = str(error).rstrip(".")
                raise ValueError(f'entry {number} of the journal ("{action}") has an impossible "{name}": {reason}.') from error
    return list(entries)


def checked_range(value: object) -> tuple[float, float] | None:
    """Two finite intensities, or None for the percentiles of each slice; TypeError or ValueError for anything else."""
    if value is None:
        return None
    low, high = _numbers(value, (2,)).tolist()
    return low, high


def checked_text(value: object) -> str:
    """A text; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _numbers(value: object, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.array(value, float)
    if numbers.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"{' x '.join(str(n) for n in shape)} finite numbers are needed")
    return numbers


def _plane(value: object) -> None:
    if not isinstance(value, dict):
        raise TypeError("a plane is an object")
    plane = SlicePlane.from_dict(value)
    numbers = [*plane.origin_ras, *plane.spacing_rc_mm, plane.thickness_mm]
    if not np.isfinite(numbers).all() or plane.shape_rc[0] * plane.shape_rc[1] > _MOST_PIXELS:
        raise ValueError(f"a plane of {plane.shape_rc} pixels cannot be a slice")


def _scribble(value: object, is_lasso: bool = False) -> None:
    points = np.array(value, float)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError("N x 3 numbers are needed")
    check_stroke(points, is_lasso)


def _lasso(value: object) -> None:
    _scribble(value, True)


def _count(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_SLICES:
        raise ValueError(f"{value!r} is no number of slices or points")


def _yes_or_no(value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")


# What journals call "window" is what the code calls display_range; the files of users keep the word.
ACTIONS: dict[str, dict[str, Callable[[object], object]]] = {
    "point": {"point_ras_mm": lambda value: _numbers(value, (3,)), "positive": _yes_or_no, "plane": _plane},
    "box": {"corners_ras_mm": lambda value: _numbers(value, (2, 3)), "plane": _plane},
    "scribble": {"points_ras_mm": _scribble, "positive": _yes_or_no, "plane": _plane},
    "lasso": {"points_ras_mm": _lasso, "positive": _yes_or_no, "plane": _plane},
    "remove_point": {"index": _count},
    "remove_stroke": {"index": _count},
    "remove_box": {},
    "window": {"window": checked_range},
    "undo": {},
    "redo": {},
    "accept": {},
    "discard": {},
    "propagate": {"slices_ahead": _count, "slices_back": _count},
    "propagate_between": {},
    "whole_object": {},
    "snap_to_edges": {},
    "prompt_from_segment": {"plane": _plane},
    "repair_slices": {"plane": _plane},
}
