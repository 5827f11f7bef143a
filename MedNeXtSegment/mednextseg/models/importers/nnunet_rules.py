"""The clean-up that nnU-Net found to help a model: postprocessing.json of version 1, postprocessing.json or .pkl of version 2.

Both keep the largest component of a label or of several labels together, in a given order. Version 1 counts shared faces as a connection
(scipy.ndimage.label), version 2 shared corners too (skimage.measure.label).
"""

import ast
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from mednextseg.json_values import json_list, json_object, number, read_json_object
from mednextseg.models.importers.results_folder import is_fold
from mednextseg.models.pickles.restricted_unpickler import KEEP_LARGEST_OF_NNUNET_V2, load_pickle

_FILE_V1, _FILES_V2 = "postprocessing.json", ("postprocessing.json", "postprocessing.pkl")
_LONGEST_TEXT = 100_000


def rules_of_v1(checkpoint: Path, names: Mapping[int, str]) -> list[dict]:
    """Component rules for a card, from the file beside the folds.

    Args:
        checkpoint: of any fold.
        names: of the labels by value.
    Raises:
        ValueError: for a file that is not nnU-Net's.
    """
    file = checkpoint.parents[1] / _FILE_V1
    if not is_fold(checkpoint.parent) or not file.is_file():
        return []
    content = _json(file)
    sizes = _sizes(content.get("min_valid_object_sizes"), file)
    entries = content.get("for_which_classes")
    rules = []
    for entry in list(names) if entries is None else json_list(entries, f"for_which_classes of {file.name}"):
        values = _values(entry, file)
        rule = _rule(values, names, "faces")
        if rule and sizes is not None:
            key = values if isinstance(entry, list | tuple) else values[0]
            if key not in sizes:
                raise ValueError(
                    f"{file.name} has no smallest size for {entry}, which it cleans up; correct or remove the file."
                )
            rule["keep_from_mm3"] = number(sizes[key], f"a size in {file.name}", low=0)
        rules += [rule] if rule else []
    return rules


def rules_of_v2(checkpoints: Sequence[Path], names: Mapping[int, str]) -> list[dict]:
    """Component rules for a card, from the file beside the folds or in the cross-validation's folder of the same folds.

    Args:
        checkpoints: of all folds.
        names: of the labels by value.
    Raises:
        ValueError: for a file that is not nnU-Net's, or asks for anything but keeping largest components.
    """
    file = _file_of_v2(checkpoints)
    if file is None:
        return []
    if file.suffix == ".pkl":
        content = load_pickle(file)
        if not isinstance(content, tuple | list) or len(content) != 2:
            raise ValueError(f"{file.name} is not nnU-Net's list of clean-up steps; remove it to import without clean-up.")
        functions, arguments = content
    else:
        content = _json(file)
        functions, arguments = content.get("postprocessing_fns"), content.get("postprocessing_kwargs")
    if not isinstance(functions, list) or not isinstance(arguments, list) or len(functions) != len(arguments):
        raise ValueError(f"{file.name} is not nnU-Net's list of clean-up steps; remove it to import without clean-up.")
    rules = []
    for function, given in zip(functions, arguments, strict=True):
        if function != KEEP_LARGEST_OF_NNUNET_V2:
            raise ValueError(
                f"{file.name} cleans up by {function}, which is not known; remove the file to import without clean-up."
            )
        given = json_object(given, f"the arguments of a step in {file.name}")  # noqa: PLW2901
        if set(given) - {"labels_or_regions", "background_label"} or given.get("background_label", 0) != 0:
            raise ValueError(
                f"{file.name} cleans up with the arguments {given}, which are not known; remove the file to go without."
            )
        rule = _rule(_values(given.get("labels_or_regions"), file), names, "corners")
        rules += [rule] if rule else []
    return rules


def _file_of_v2(checkpoints: Sequence[Path]) -> Path | None:
    """nnU-Net writes the file beside predictions; those of the cross-validation lie in a folder named after its folds."""
    folds = [checkpoint.parent for checkpoint in checkpoints]
    if not all(is_fold(fold) for fold in folds):
        return None
    numbers = "_".join(fold.name.removeprefix("fold_") for fold in folds)
    trainer = folds[0].parent
    candidates = [folder / name for folder in (trainer, trainer / f"crossval_results_folds_{numbers}") for name in _FILES_V2]
    return next((file for file in candidates if file.is_file()), None)


def _json(file: Path) -> dict:
    return read_json_object(file)


def _sizes(text: object, file: Path) -> dict | None:
    """nnU-Net v1 writes a dictionary with tuples as keys, or None, as Python text."""
    if text is None:
        return None
    try:
        sizes = ast.literal_eval(text) if isinstance(text, str) and len(text) < _LONGEST_TEXT else text
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"{file.name} has min_valid_object_sizes that cannot be read; correct or remove the file.") from error
    if sizes is not None and not isinstance(sizes, dict):
        raise ValueError(f"{file.name} has min_valid_object_sizes that are no table of labels; correct or remove the file.")
    return sizes


def _values(entry: object, file: Path) -> tuple[int, ...]:
    """Label values of an entry: a number, or lists of them however deep (a list of regions means all of them together)."""
    if isinstance(entry, list | tuple):
        return tuple(value for part in entry for value in _values(part, file))
    if isinstance(entry, bool) or not isinstance(entry, Integral) or entry == 0:
        raise ValueError(f"{file.name} cleans up {entry!r}, which is no label; correct or remove the file.")
    return (int(entry),)


def _rule(values: Sequence[int], names: Mapping[int, str], connectivity: str) -> dict[str, Any]:
    """Empty where the model has none of the labels: parts of regions that are painted under another number."""
    labels = [names[value] for value in dict.fromkeys(values) if value in names]
    return {"labels": labels, "connectivity": connectivity} if labels else {}
