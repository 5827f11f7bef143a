"""What a model card may say: the type of every field, and what the fields must have in common. Standard library only."""

import re
from typing import TYPE_CHECKING

from mednextseg.json_values import json_list, json_object, listed, number, one_of, shown, text, whole_number, yes_or_no

if TYPE_CHECKING:
    from mednextseg.models.model_card import ModelCard

TASKS = ("segment", "refine")
# Labelmaps are written with 16 bits.
LARGEST_LABEL = 32767
# A bit of a number is kept for each.
MOST_OVERLAPPING = 32
_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*")
_CHOICES = {
    "task": TASKS,
    "normalization_region": ("volume", "roi"),
    "padding": ("edge", "zero"),
    "average": ("logits", "probabilities"),
    "activation": ("softmax", "sigmoid"),
    "combination": ("merge", "cascade"),
    "window_layout": ("even", "dense"),
    "window_weights": ("gaussian", "gaussian_centered", "constant"),
    "interpolated": ("values", "activations", "labels"),
}
_TEXTS = (
    "version", "title", "family", "weights_license", "description", "roi_hint", "citation", "minimum_engine_version", "body_part",
)  # fmt: skip
_TRUTHS = (
    "crop_to_nonzero", "normalize_first", "clip_resampled", "needs_region", "reorient_only", "axes_by_sform", "slice_by_slice",
    "labels_overlap", "previous_labels_linear", "tta",
)  # fmt: skip
_TO_SEGMENT = ("spacing_kji_mm", "patch_size_kji")


def check_card(card: "ModelCard", source: str) -> None:
    """Check a card whose fields were read but not judged.

    Raises:
        ValueError: naming `source` and the field that is wrong.
    """
    if not isinstance(card.id, str) or not _ID_PATTERN.fullmatch(card.id):
        raise ValueError(f"{source}: the id must be lower-case letters, digits, dots and dashes, got {shown(card.id)}.")
    for name, allowed in _CHOICES.items():
        one_of(getattr(card, name), f"{source}: {name}", allowed)
    for name in _TEXTS:
        text(getattr(card, name), f"{source}: {name}")
    for name in _TRUTHS:
        yes_or_no(getattr(card, name), f"{source}: {name}")
    if card.interpolated != "values" and not (card.preparation and card.average == "logits"):
        raise ValueError(f"{source}: interpolated {card.interpolated!r} needs steps of preparation and an average of logits.")
    json_object(card.architecture, f"{source}: architecture")
    if text(card.reference_cases, f"{source}: reference_cases") and not _ID_PATTERN.fullmatch(card.reference_cases):
        raise ValueError(
            f"{source}: reference_cases must be a folder of the package, in lower-case letters, digits, dots and dashes, "
            f"got {shown(card.reference_cases)}."
        )
    if not 0 <= number(card.overlap, f"{source}: overlap") < 1:
        raise ValueError(f"{source}: the overlap must be at least 0 and below 1, got {card.overlap}.")
    if card.region_from is not None and card.region_from.model.partition("@")[0] == card.id:
        raise ValueError(f"{source}: region_from must name another model than {card.id} itself.")
    if card.anisotropy_threshold is not None:
        number(card.anisotropy_threshold, f"{source}: anisotropy_threshold", low=1)
    _check_axes(card, source)
    _check_grid(card, source)
    digests = json_list(card.weights_sha256, f"{source}: weights_sha256")
    if not digests or any(not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests):
        raise ValueError(f"{source}: weights_sha256 must list one SHA-256 for each weights file.")
    _check_parts(card, source)
    if card.task == "segment":
        _check_labels(card, source)


def _check_parts(card: "ModelCard", source: str) -> None:
    for part in json_list(card.parts, f"{source}: parts"):
        if not _ID_PATTERN.fullmatch(text(part, f"{source}: a folder of parts")):
            raise ValueError(
                f"{source}: a part's folder must be lower-case letters, digits, dots and dashes, got {shown(part)}."
            )
    if card.parts and (len(set(card.parts)) != len(card.parts) or len(card.parts) != len(card.weights_sha256)):
        raise ValueError(f"{source}: parts must be named once each, and weights_sha256 must have one entry for each.")
    for value in json_list(card.previous_labels, f"{source}: previous_labels"):
        whole_number(value, f"{source}: a label of previous_labels", 1, LARGEST_LABEL)


def _check_axes(card: "ModelCard", source: str) -> None:
    order = json_list(card.axis_order_kji, f"{source}: axis_order_kji")
    if [axis for axis in order if not isinstance(axis, bool)] != order or sorted(map(str, order)) != ["0", "1", "2"]:
        raise ValueError(f"{source}: axis_order_kji must name the axes 0, 1 and 2 once each, got {shown(order)}.")
    mirrored = json_list(card.mirror_axes_kji, f"{source}: mirror_axes_kji")
    for axis in mirrored:
        whole_number(axis, f"{source}: an axis of mirror_axes_kji", 0, 2)
    if len(set(mirrored)) != len(mirrored):
        raise ValueError(f"{source}: mirror_axes_kji must name each axis once, got {mirrored}.")
    code = card.orientation
    if code is None:
        return
    named = [group for group in ("RL", "AP", "SI") for letter in text(code, f"{source}: orientation") if letter in group]
    if len(code) != 3 or sorted(named) != ["AP", "RL", "SI"]:
        raise ValueError(f'{source}: orientation must be one letter each of R/L, A/P, S/I (such as "RAS"), got {code!r}.')


def _check_grid(card: "ModelCard", source: str) -> None:
    needed = _TO_SEGMENT[1:] if card.preparation else _TO_SEGMENT
    missing = [name for name in needed if getattr(card, name) is None]
    if missing and card.task == "segment":
        raise ValueError(f"{source} lacks {listed(missing)}, which a model that segments needs.")
    for name in _TO_SEGMENT:
        values = getattr(card, name)
        if values is not None and len(json_list(values, f"{source}: {name}")) != 3:
            raise ValueError(f"{source}: {name} must have three numbers, got {shown(values)}.")
    for size in card.patch_size_kji or ():
        whole_number(size, f"{source}: a size of patch_size_kji", 1)
    for spacing in card.spacing_kji_mm or ():
        if number(spacing, f"{source}: a spacing of spacing_kji_mm") <= 0:
            raise ValueError(f"{source}: spacing_kji_mm must be positive, got {card.spacing_kji_mm}.")
    if card.slice_by_slice and card.patch_size_kji is not None and card.patch_size_kji[0] != 1:
        raise ValueError(
            f"{source}: the patch of a model that works slice by slice must be one voxel deep, got {card.patch_size_kji[0]}."
        )


def _check_labels(card: "ModelCard", source: str) -> None:
    if not card.channels:
        raise ValueError(f"{source} names no channels; a model that segments needs one at the least.")
    values = [label.value for label in card.labels]
    if len(set(values)) != len(values) or not values:
        raise ValueError(f"{source}: label values must be positive and each used once, got {values}.")
    if len({label.name for label in card.labels}) != len(values):
        raise ValueError(f"{source}: two labels have the same name.")
    names = {label.name for label in card.labels}
    for total, parts in card.totals.items():
        if not parts or not names.issuperset(text(part, f"{source}: a label of the total {shown(total)}") for part in parts):
            raise ValueError(f"{source}: the total {shown(total)} must add up labels of the model, got {shown(parts)}.")
        if total in names:
            raise ValueError(f"{source}: the total {shown(total)} has the name of a label.")
    if card.exchanged_sides:
        _check_sides(card, names, source)
    if card.labels_overlap:
        _check_overlapping(card, source)
    cleaned = {name for rule in card.component_rules for name in rule.labels} | set(card.postprocessing)
    if unknown := cleaned - names:
        raise ValueError(f"{source} cleans up {listed(sorted(unknown))}, which is none of its labels.")


def _check_sides(card: "ModelCard", names: set[str], source: str) -> None:
    sides = [text(name, f"{source}: a label of exchanged_sides") for pair in card.exchanged_sides for name in pair]
    if any(len(pair) != 2 for pair in card.exchanged_sides) or len(set(sides)) != len(sides) or not names.issuperset(sides):
        raise ValueError(
            f"{source}: exchanged_sides must pair labels of the model, each once, got {shown(card.exchanged_sides)}."
        )
    if card.orientation is None or card.orientation[0] not in "RL":
        raise ValueError(
            f'{source}: exchanged_sides needs an orientation whose first axis runs from side to side (such as "LPS"), '
            f"got {shown(card.orientation)}."
        )


def _check_overlapping(card: "ModelCard", source: str) -> None:
    if card.activation != "sigmoid":
        raise ValueError(f'{source}: labels_overlap needs the activation "sigmoid", got {card.activation!r}.')
    if len(card.labels) > MOST_OVERLAPPING:
        raise ValueError(f"{source}: {len(card.labels)} labels overlap, and at most {MOST_OVERLAPPING} can.")
    for name in ("parts", "previous_labels", "region_from"):
        if getattr(card, name):
            raise ValueError(f"{source}: labels_overlap and {name} cannot be combined.")
