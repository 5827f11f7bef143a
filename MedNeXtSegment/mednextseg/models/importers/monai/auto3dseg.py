"""Models of MONAI's Auto3DSeg (SegResNet) as SlicerMONAIAuto3DSeg publishes them: model.pt, which holds its configuration, and labels.csv.

How images are prepared is that extension's auto3dseg_segresnet_inference.py.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mednextseg.json_values import json_list, json_object, number, shown, text
from mednextseg.labels.codes import coded_label
from mednextseg.models.importers.monai.network import read_network
from mednextseg.models.importers.naming import channel_fields, slug
from mednextseg.models.importers.package import Draft
from mednextseg.models.importers.plain import tensors_of
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint
from mednextseg.models.preparation import CropForeground, Resample, ScaleRange, Squash, Standardize, Step

_WEIGHTS, _LABELS = "model.pt", "labels.csv"
_MARGIN = 10  # voxels, around the foreground
# What that program does with every model.
_ALWAYS = {
    "overlap": 0.625,
    "window_layout": "dense",
    "window_weights": "gaussian_centered",
    "padding": "zero",
    "average": "logits",
    "activation": "softmax",
    "interpolated": "labels",
}
_VERSION = re.compile(r"(.+?)(?:-v(\d[\w.]*))?")
_MODALITIES = {"ct": "CT", "mr": "MR", "mri": "MR"}
_LARGEST_TWO = (
    "SlicerMONAIAuto3DSeg keeps the two largest parts of each structure of its whole-head models; here all parts are kept."
)
# Its models of brain tumors have three outputs that overlap: whole tumor, core, enhancing. That program paints them one over the other,
# by these numbers of labels.csv, and gives the network all images at once, in this order.
_BRATS, _BRATS_LABELS, _BRATS_CHANNELS = "brats", (2, 1, 3), ("T2-FLAIR", "T1 with contrast", "T1", "T2")
# Column of labels.csv -> part of a label's terminology.
_CODES = {
    "SegmentedPropertyCategoryCodeSequence": "category",
    "SegmentedPropertyTypeCodeSequence": "type",
    "SegmentedPropertyTypeModifierCodeSequence": "type_modifier",
    "AnatomicRegionSequence": "region",
    "AnatomicRegionModifierSequence": "region_modifier",
}


def is_auto3dseg(path: Path) -> bool:
    """Whether the path is such a folder, one of its two files, or a folder with one such folder in it."""
    return _folder(path) is not None


def read_auto3dseg(path: Path) -> Draft:
    """Read a model's folder.

    Raises:
        ValueError: where its configuration says something without an equal here.
    """
    folder = _folder(path)
    weights = folder / _WEIGHTS
    checkpoint = load_checkpoint(weights)
    config = json_object(checkpoint.get("config"), f"the entry config of {weights.name} (an Auto3DSeg checkpoint has one)")
    network = config.get("network")
    if network is None:
        raise ValueError(
            f"{weights.name} does not describe its network (config, network); only Auto3DSeg's SegResNet can be imported."
        )
    architecture = read_network(network)
    outputs = (architecture.get("arguments") or {}).get("out_channels", 2)
    painted = _painted(config, folder, outputs)
    steps, spacing = _steps(config, is_brats=bool(painted))
    orientation = "SAR" if config.get("orientation_ras", False) else None
    name, version = _VERSION.fullmatch(folder.name).groups()
    tensors = tensors_of({"state_dict": checkpoint.get("state_dict")}, weights.name)
    return Draft(
        fields={
            "id": slug(name),
            "version": version or "1.0.0",
            "title": name.replace("-", " "),
            "task": "segment",
            "channels": _channels(config, architecture, is_brats=bool(painted)),
            "labels": _labels(folder / _LABELS, painted or range(1, _count(outputs))),
            "orientation": orientation,
            "reorient_only": orientation is not None,
            "axis_order_kji": [2, 1, 0],
            "spacing_kji_mm": spacing,
            "preparation": [vars(step) for step in steps],
            "patch_size_kji": [int(n) for n in json_list(config.get("roi_size"), "roi_size of the model's config")],
            **_ALWAYS,
            **({"activation": "sigmoid"} if painted else {}),
            "source": {"program": "MONAI Auto3DSeg"},
        },
        folds=(lambda: tensors,),
        sources=(weights, folder / _LABELS),
        architecture=architecture,
        notes=(_LARGEST_TWO,) if "whole-head" in folder.name else (),
    )


def _folder(path: Path) -> Path | None:
    if path.is_file():
        return path.parent if path.name in (_WEIGHTS, _LABELS) and _is_complete(path.parent) else None
    if _is_complete(path):
        return path
    below = [child for child in sorted(path.iterdir()) if _is_complete(child)]
    return below[0] if len(below) == 1 else None


def _is_complete(folder: Path) -> bool:
    return (folder / _WEIGHTS).is_file() and (folder / _LABELS).is_file()


def _painted(config: Mapping[str, Any], folder: Path, outputs: object) -> tuple[int, ...]:
    """The labels of outputs that are painted one over the other, in their order; empty where one label wins."""
    if not config.get("sigmoid"):
        return ()
    if _BRATS not in folder.name.lower() or outputs != len(_BRATS_LABELS):
        raise ValueError(
            f"the model's outputs overlap (sigmoid), and only of models named {_BRATS} with {len(_BRATS_LABELS)} of them it is known what "
            "each means; import its weights with a card of your own."
        )
    return _BRATS_LABELS


def _steps(config: Mapping[str, Any], is_brats: bool) -> tuple[list[Step], list[float] | None]:
    """In the order of that program: intensities, crop, spacing; of its models of brain tumors crop, spacing, intensities."""
    intensities = _intensities(config)
    steps = [] if is_brats else list(intensities)
    if config.get("crop_foreground", True):
        steps.append(CropForeground((_MARGIN,) * 3, "volume", None if is_brats else (0,)))
    spacing = config.get("resample_resolution")
    if spacing is not None:
        what = "resample_resolution of the model's config"
        spacing = [number(n, what) for n in json_list(spacing, what)]
        steps.append(Resample(tuple(spacing), "linear", tuple((0.75 * n, 1.25 * n) for n in spacing), single_precision=True))
    return [*steps, *intensities] if is_brats else steps, spacing


def _intensities(config: Mapping[str, Any]) -> list[Step]:
    extra = json_object(config.get("extra_modalities") or {}, "extra_modalities of the model's config")
    modes = {str(config.get("normalize_mode")), *(str(mode) for mode in extra.values())}
    if len(modes) != 1:
        raise ValueError(
            f"the model scales its images in different ways ({', '.join(sorted(modes))}), which has no equal here."
        )
    mode = modes.pop()
    if mode == "none":
        return []
    if mode in ("range", "ct"):
        what = "intensity_bounds of the model's config"
        bounds = [number(n, what) for n in json_list(config.get("intensity_bounds"), what)]
        if len(bounds) != 2:
            raise ValueError(f"{what} must be two numbers, got {bounds}.")
        return [ScaleRange(*bounds, -1.0, 1.0, False), Squash("sigmoid")]
    if mode in ("meanstd", "mri", "meanstdtanh"):
        return [Standardize(True, True), *([Squash("tanh_3")] if mode == "meanstdtanh" else [])]
    raise ValueError(f"the model scales its images by {shown(mode)}, which is not known.")


def _channels(config: Mapping[str, Any], architecture: Mapping[str, Any], is_brats: bool) -> list[dict]:
    modality = _MODALITIES.get(
        str(config.get("modality", "")).lower(), "CT" if config.get("normalize_mode") in ("ct", "range") else "MR"
    )
    count = (architecture.get("arguments") or {}).get("in_channels", 1)
    extra = [str(name) for name in config.get("extra_modalities") or {}]
    if is_brats and count == len(_BRATS_CHANNELS):
        return [{**channel_fields(name, {"scheme": "none"}), "modality": "MR"} for name in _BRATS_CHANNELS]
    names = [modality, *extra] if len(extra) == count - 1 else [f"{modality} {n + 1}" for n in range(count)]
    return [{**channel_fields(name, {"scheme": "none"}), "modality": modality} for name in names]


def _count(outputs: object) -> int:
    if isinstance(outputs, bool) or not isinstance(outputs, int) or not 2 <= outputs <= 1000:
        raise ValueError(f"the network has {shown(outputs)} outputs; a background and labels are needed.")
    return outputs


def _labels(file: Path, values: Iterable[int]) -> list[dict]:
    """Labels with these numbers; those that the table leaves out are named by their number."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = {
            int(row["LabelValue"]): row for row in csv.DictReader(stream) if (row.get("LabelValue") or "").strip().isdecimal()
        }
    if not rows:
        raise ValueError(f"{file.name} has no column LabelValue with numbers; take the file that came with the model.")
    return [_label(value, rows.get(value, {})) for value in values]


def _label(value: int, row: Mapping[str, Any]) -> dict:
    name = text(row.get("Name") or f"label {value}", "Name in labels.csv").replace("_", " ").strip()
    label = coded_label(value, name)
    codes = {}
    for column, role in _CODES.items():
        parts = [row.get(f"{column}.{part}") or "" for part in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")]
        if all(parts):
            codes[role] = parts
    return {"value": value, "name": name, "color": list(label.color), "terminology": codes or label.terminology}
