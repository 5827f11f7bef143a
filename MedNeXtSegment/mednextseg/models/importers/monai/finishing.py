"""MONAI's transforms behind the network -> how labels are made of its outputs; what has no equal here is refused by its name.

What counts is the order: whether class values or labels are brought back to the volume's grid (Invertd), and by which interpolation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mednextseg.json_values import shown
from mednextseg.models.importers.monai.config import is_unreadable, transform_name

_WITHOUT_EFFECT = (
    "EnsureType",
    "ToTensor",
    "CastToType",
    "ToDevice",
    "DeleteItems",
    "SelectItems",
    "FromMetaTensor",
    "Identity",
    "Decollate",
)
_LABEL_NUMBERS = (
    "The bundle interpolates numbers of labels (Invertd after AsDiscreted); here each voxel takes the nearest label."
)
_MERGED = (
    "The bundle merges its outputs by an expression (Lambdad), which is not evaluated; each output is a segment of its own."
)


@dataclass
class FoundFinish:
    """How outputs become labels.

    Attributes:
        activation: "softmax" or "sigmoid".
        interpolated: as the card's field.
        largest_of: label numbers whose largest component is kept, one tuple for each rule; None in it for all labels.
        renumbered: output -> label number, where the bundle says so.
        notes: sentences for the user.
    """

    activation: str = "softmax"
    interpolated: str = "labels"
    connectivity: str = "corners"
    largest_of: list[tuple[int, ...] | None] = field(default_factory=list)
    largest_together: list[tuple[int, ...] | None] = field(default_factory=list)
    renumbered: dict[int, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_finish(transforms: list[dict[str, Any]], outputs: int) -> FoundFinish:
    """The way from outputs to labels.

    Args:
        transforms: after the network.
        outputs: channels of the network.
    Raises:
        ValueError: for a transform or argument that is not known.
    """
    found = FoundFinish()
    activation, discrete, inverted = None, None, None
    for arguments in transforms:
        name = transform_name(arguments)
        given = {key: value for key, value in arguments.items() if key != "_target_"}
        if name == "Activations":
            activation = _activation(given)
        elif name == "AsDiscrete":
            discrete = _discrete(given, discrete)
        elif name == "Invert":
            inverted = (activation, discrete, _is_nearest(given))
        elif name == "KeepLargestConnectedComponent":
            _keep_largest(given, found)
        elif name in ("MapLabelValue", "LabelMapping"):
            found.renumbered = _renumbered(given)
        elif name == "Lambda" and discrete == "threshold":
            found.notes.append(_MERGED)
        elif name == "SaveImage":
            break
        elif name not in _WITHOUT_EFFECT:
            raise ValueError(
                f"the bundle finishes its outputs with {arguments['_target_']}, which is not known, so its results could not be repeated."
            )
    found.activation = _activation_of(activation, discrete, outputs)
    if inverted is not None:
        found.interpolated = _interpolated(*inverted, found)
    return found


def _activation_of(activation: str | None, discrete: str | None, outputs: int) -> str:
    """One label a voxel, or overlapping ones, by what is done; without any transform the number of outputs decides."""
    if activation == "sigmoid":
        if discrete == "argmax" and outputs > 1:
            return "softmax"  # the largest of sigmoids is the largest of the values
        return "sigmoid"
    if discrete == "threshold" and activation is None:
        raise ValueError(
            "the bundle compares plain outputs with a threshold (AsDiscreted without Activationsd), which has no equal here."
        )
    return "softmax"


def _interpolated(activation: str | None, discrete: str | None, is_nearest: bool, found: FoundFinish) -> str:
    if discrete is not None and not is_nearest:
        found.notes.append(_LABEL_NUMBERS)
    if is_nearest or discrete is not None:
        return "labels"
    return "activations" if activation is not None else "values"


def _activation(given: Mapping[str, Any]) -> str | None:
    for key in ("sigmoid", "softmax"):
        if given.get(key) not in (None, True, False):
            raise ValueError(f"the bundle's Activationsd has {key} = {shown(given[key])}; true or false is needed.")
    if given.get("other") is not None:
        raise ValueError(f"the bundle's Activationsd asks for {shown(given['other'])}, which is not known.")
    return "sigmoid" if given.get("sigmoid") else "softmax" if given.get("softmax") else None


def _discrete(given: Mapping[str, Any], before: str | None) -> str | None:
    argmax, threshold = _first(given.get("argmax")), _first(given.get("threshold"))
    if is_unreadable(argmax) or is_unreadable(threshold):
        raise ValueError(
            "the bundle's AsDiscreted has an expression where a plain value is needed; expressions are not evaluated."
        )
    if _first(given.get("rounding")) is not None:
        raise ValueError("the bundle's AsDiscreted rounds its outputs, which has no equal here.")
    if argmax is True:
        return "argmax"
    if threshold is not None:
        if threshold != 0.5:
            raise ValueError(
                f"the bundle compares its outputs with {shown(threshold)}; only the threshold 0.5 has an equal here."
            )
        return "threshold"
    return before


def _first(value: object) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _is_nearest(given: Mapping[str, Any]) -> bool:
    value = _first(given.get("nearest_interp", True))
    if not isinstance(value, bool):
        raise ValueError(f"the bundle's Invertd has nearest_interp = {shown(value)}; true or false is needed.")
    return value


def _keep_largest(given: Mapping[str, Any], found: FoundFinish) -> None:
    known = {"keys", "applied_labels", "independent", "connectivity", "is_onehot", "num_components", "allow_missing_keys"}
    if unknown := set(given) - known:
        raise ValueError(f"the bundle's KeepLargestConnectedComponentd has {shown(sorted(unknown))}, which is not known.")
    if given.get("num_components", 1) != 1:
        raise ValueError("the bundle keeps several components of a label (num_components), which has no equal here.")
    if given.get("connectivity") not in (None, 1, 3):
        raise ValueError(
            f"the bundle's components have the connectivity {shown(given['connectivity'])}; only 1 and 3 have an equal here."
        )
    found.connectivity = "faces" if given.get("connectivity") == 1 else "corners"
    labels = given.get("applied_labels")
    if labels is not None:
        labels = labels if isinstance(labels, list) else [labels]
        if any(isinstance(n, bool) or not isinstance(n, int) for n in labels):
            raise ValueError(f"the bundle's KeepLargestConnectedComponentd has the labels {shown(labels)}; numbers are needed.")
        labels = tuple(labels)
    together = given.get("independent", True) is False
    (found.largest_together if together else found.largest_of).append(labels)


def _renumbered(given: Mapping[str, Any]) -> dict[int, int]:
    old, new = given.get("orig_labels"), given.get("target_labels")
    is_table = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    if not is_table or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in (*old, *new)):
        raise ValueError("the bundle renumbers its labels (MapLabelValued) by something other than two lists of numbers.")
    return dict(zip(old, new, strict=True))
