"""What the parameters of requests look like, by name: a client's slip is said in one sentence before anything is done.

Standard library only.
"""

import math
from collections.abc import Callable

from mednextseg.worker.arrays import is_description

_ANY = None


def check_form(name: str, value: object) -> None:
    """Make sure that a parameter has the form that its name stands for; None and other names pass.

    Raises:
        ValueError: saying what came and what is allowed.
    """
    check, wanted = _FORMS.get(name, (None, ""))
    if value is not None and check is not None and not check(value):
        shown = repr(value)
        raise ValueError(f"the request's {name} must be {wanted}, got {shown if len(shown) < 100 else shown[:100] + ' ...'}.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_array(value: object) -> bool:
    if not is_description(value) or not isinstance(value["file"], str) or not isinstance(value["dtype"], str):
        return False
    return isinstance(value["shape"], list) and all(type(n) is int and n > 0 for n in value["shape"])


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_list_of_cases(value: object) -> bool:
    """Each with a name, a matrix for each channel, and a name with a matrix or null for each segment."""
    matrix = _numbers(4, 4)

    def is_segment(entry: object) -> bool:
        return (
            isinstance(entry, dict)
            and _is_text(entry.get("name"))
            and (entry.get("ijk_to_ras") is None or matrix(entry["ijk_to_ras"]))
        )

    return isinstance(value, list) and all(
        isinstance(case, dict)
        and _is_text(case.get("name"))
        and isinstance(case.get("images"), list)
        and all(matrix(entry) for entry in case["images"])
        and isinstance(case.get("segments"), list)
        and all(is_segment(entry) for entry in case["segments"])
        for case in value
    )


def _is_list_of_pairs(value: object) -> bool:
    """Each with a name, and a matrix for each channel of both images."""
    matrix = _numbers(4, 4)
    return isinstance(value, list) and all(
        isinstance(pair, dict)
        and _is_text(pair.get("name"))
        and all(isinstance(pair.get(kind), list) and all(map(matrix, pair[kind])) for kind in ("known", "new"))
        for pair in value
    )


def _is_list_of_labels(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(item) or item in (0, 1) for item in value)


def _numbers(*shape: int | None) -> Callable[[object], bool]:
    """Nested lists of finite numbers; None allows any length."""

    def check(value: object, left: tuple[int | None, ...] = shape) -> bool:
        if not left:
            return (
                isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
            )
        if not isinstance(value, list) or left[0] not in (_ANY, len(value)):
            return False
        return all(check(item, left[1:]) for item in value)

    return check


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_positive(value: object) -> bool:
    return _numbers()(value) and value > 0


def _is_shape(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 < n < 2**31 for n in value)


_TEXTS = (
    "volume model session embedding prompter device family panel path url sha256 target name after keep_as method loss sampling model_id"
    " dataset unlabeled pairs"
).split()
_FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(_TEXTS, (_is_text, "text")),
    **dict.fromkeys(
        ("array", "image", "mask", "cube", "reference", "prediction"), (_is_array, "an array's file, shape and dtype")
    ),
    **dict.fromkeys(("roi", "recipe", "same", "base"), (_is_object, "an object")),
    **dict.fromkeys(("volumes", "collected"), (_is_list_of_text, "a list of ids")),
    "journals": (_is_list_of_text, "a list of texts"),
    **dict.fromkeys(("held_out", "methods"), (_is_list_of_text, "a list of names")),
    "shots": (lambda value: isinstance(value, list) and all(type(n) is int for n in value), "a list of whole numbers"),
    "cases": (_is_list_of_cases, "a list of cases with name, images and segments"),
    "image_pairs": (_is_list_of_pairs, "a list of pairs with name, known and new"),
    "labels": (_is_list_of_labels, "a list of names, or of 0 and 1"),
    **dict.fromkeys(("shape_kji", "patch_kji"), (_is_shape, "three positive whole numbers")),
    **dict.fromkeys(("channels", "label_count"), (lambda value: type(value) is int and value > 0, "a whole number from 1 on")),
    **dict.fromkeys(("memory_gb", "most_parameters", "most_seconds"), (_is_positive, "a finite number above 0")),
    **dict.fromkeys(
        ("ijk_to_ras", "reference_ijk_to_ras", "prediction_ijk_to_ras"), (_numbers(4, 4), "a 4x4 matrix of finite numbers")
    ),
    **dict.fromkeys(("spacing_rc_mm", "display_range"), (_numbers(2), "two finite numbers")),
    "points_rc": (_numbers(_ANY, 2), "a list of pairs of finite numbers"),
    "strokes": (_is_list_of_objects, "a list of objects"),
    **dict.fromkeys(
        ("positive", "lasso", "registered", "leave_one_out"), (lambda value: isinstance(value, bool), "true or false")
    ),
    "box": (_numbers(4), "four finite numbers"),
    **dict.fromkeys(("references", "predictions"), (_numbers(_ANY, 4, 4), "a list of 4x4 matrices of finite numbers")),
    **dict.fromkeys(
        ("count", "gap_mm", "minutes", "steps", "seed", "tolerated_loss", "pretraining_steps"), (_numbers(), "a finite number")
    ),
}
