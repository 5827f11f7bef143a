"""MONAI bundles: configs/metadata.json and configs/inference.json beside models/model.pt.

The configuration language may hold Python expressions; they are not evaluated, and a bundle that needs one where it matters is refused.
MONAI's tensors have the axes of an image in the order I, J, K where ours have K, J, I: the first axis of its network is our K.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mednextseg.models.importers.naming import channel_fields, label_fields, slug
from mednextseg.models.importers.package import UNKNOWN_LICENSE, Draft
from mednextseg.models.importers.plain import tensors_of
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint

_METADATA, _INFERENCE, _WEIGHTS = "configs/metadata.json", "configs/inference.json", "models/model.pt"
# Transforms that only read the file or change the type of the array.
_WITHOUT_EFFECT = ("LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "ToTensord", "CastToTyped")
_NOTE = (
    "Images are resampled by cubic splines and windows laid evenly with Gaussian weights; MONAI interpolates linearly and lays its windows "
    "from one end, so labels can differ at edges of structures."
)


def is_monai_bundle(path: Path) -> bool:
    """Whether the path is the folder of a bundle."""
    return path.is_dir() and (path / _METADATA).is_file()


def read_monai_bundle(path: Path) -> Draft:
    """Read a bundle's folder.

    Raises:
        ValueError: where a file or entry is missing, or a transform or expression is not known.
    """
    for needed in (_INFERENCE, _WEIGHTS):
        if not (path / needed).is_file():
            raise ValueError(f"the bundle {path.name} has no {needed}; download it with its weights.")
    metadata, inference = _json(path / _METADATA), _json(path / _INFERENCE)
    data_format = metadata.get("network_data_format") or {}
    image = (data_format.get("inputs") or {}).get("image") or {}
    outputs = ((data_format.get("outputs") or {}).get("pred") or {}).get("channel_def")
    if not outputs:
        raise ValueError("the bundle's metadata.json names no labels (network_data_format.outputs.pred.channel_def).")
    preprocessing = _preprocessing(inference)
    is_regions = _is_sigmoid(inference)
    names = [(int(number), str(name)) for number, name in sorted(outputs.items(), key=lambda item: int(item[0]))]
    labels = [(n + 1, name) for n, name in names] if is_regions else [(n, name) for n, name in names if n > 0]
    window = _arguments(inference.get("inferer"), "inferer")
    weights = path / _WEIGHTS
    return Draft(
        fields={
            "id": slug(str(metadata.get("name", path.name))),
            "version": str(metadata.get("version", "1.0.0")),
            "title": str(metadata.get("name", path.name)),
            "task": "segment",
            "channels": _channels(image, preprocessing["normalization"]),
            "labels": [label_fields(value, name) for value, name in labels],
            "spacing_kji_mm": preprocessing["spacing"],
            "patch_size_kji": _numbers(window.get("roi_size"), "the inferer's roi_size"),
            "overlap": float(window.get("overlap", 0.25)),
            "orientation": preprocessing["orientation"],
            "axis_order_kji": [2, 1, 0],
            "padding": "zero",
            "average": "logits",
            "activation": "sigmoid" if is_regions else "softmax",
            "weights_license": str(metadata.get("license", UNKNOWN_LICENSE)),
            "citation": "; ".join(metadata.get("references") or []),
            "source": {"program": "MONAI bundle"},
        },
        folds=(lambda: tensors_of(load_checkpoint(weights), weights.name),),
        sources=(weights, path / _METADATA, path / _INFERENCE),
        notes=(_NOTE,),
    )


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not valid JSON ({error}).") from error


def _arguments(entry: object, name: str) -> dict:
    if not isinstance(entry, Mapping) or "_target_" not in entry:
        raise ValueError(f"the bundle's inference.json has no {name} that can be read; expressions are not evaluated.")
    return {key: value for key, value in entry.items() if not key.startswith("_") or key == "_target_"}


def _target(arguments: Mapping[str, Any]) -> str:
    return str(arguments["_target_"]).rpartition(".")[2]


def _transforms(inference: Mapping[str, Any], name: str) -> list[dict]:
    listed = _arguments(inference.get(name), name).get("transforms")
    if not isinstance(listed, list):
        raise ValueError(f"the bundle's {name} has no list of transforms; expressions are not evaluated.")
    return [_arguments(entry, name) for entry in listed if not (isinstance(entry, Mapping) and entry.get("_disabled_"))]


def _preprocessing(inference: Mapping[str, Any]) -> dict:
    """Normalization, spacing (first tensor axis first) and orientation (I, J, K letters of our axes, so reversed)."""
    found: dict[str, Any] = {"normalization": {"scheme": "none"}, "spacing": None, "orientation": None}
    for arguments in _transforms(inference, "preprocessing"):
        target = _target(arguments)
        if target == "Orientationd":
            found["orientation"] = str(arguments["axcodes"])[::-1]
        elif target == "Spacingd":
            found["spacing"] = _numbers(arguments.get("pixdim"), "Spacingd's pixdim")
        elif target in ("ScaleIntensityRanged", "NormalizeIntensityd", "ScaleIntensityd"):
            found["normalization"] = _normalization(target, arguments)
        elif target not in _WITHOUT_EFFECT:
            raise ValueError(
                f"the bundle prepares images with {target}, which is not known, so its results could not be repeated."
            )
    if found["spacing"] is None:
        raise ValueError(
            "the bundle resamples to no spacing (Spacingd), so its network's grid is not known; import the weights with a card."
        )
    return found


def _normalization(target: str, arguments: Mapping[str, Any]) -> dict:
    if target == "NormalizeIntensityd":
        if arguments.get("subtrahend") is not None or not arguments.get("channel_wise", False):
            raise ValueError(
                "the bundle normalizes with numbers of its own or over all channels at once; import the weights with a card."
            )
        return {"scheme": "zscore_nonzero" if arguments.get("nonzero") else "zscore"}
    if target == "ScaleIntensityd":
        if arguments.get("minv", 0.0) != 0.0 or arguments.get("maxv", 1.0) != 1.0:
            raise ValueError("the bundle scales intensities to a range other than 0 to 1; import the weights with a card.")
        return {"scheme": "minmax"}
    a_min, a_max, b_min, b_max = _numbers([arguments.get(n) for n in ("a_min", "a_max", "b_min", "b_max")], target)
    if not arguments.get("clip"):
        raise ValueError("the bundle scales intensities without clipping them; import the weights with a card.")
    std = (a_max - a_min) / (b_max - b_min)
    return {"scheme": "ct", "lower": a_min, "upper": a_max, "mean": a_min - b_min * std, "std": std}


def _is_sigmoid(inference: Mapping[str, Any]) -> bool:
    return any(
        _target(arguments) == "Activationsd" and arguments.get("sigmoid") is True
        for arguments in _transforms(inference, "postprocessing")
    )


def _channels(image: Mapping[str, Any], normalization: dict) -> list[dict]:
    modality = str(image.get("modality", "image"))
    names = image.get("channel_def") or {}
    count = int(image.get("num_channels", 1))
    if count == 1:
        return [channel_fields(modality, normalization)]
    return [channel_fields(str(names.get(str(n), f"{modality} {n}")), normalization) for n in range(count)]


def _numbers(value: object, name: str) -> list:
    if not isinstance(value, list) or any(isinstance(n, bool) or not isinstance(n, int | float) for n in value):
        raise ValueError(f"{name} is {value!r} where numbers are needed; expressions are not evaluated.")
    return value
