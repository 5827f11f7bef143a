"""MONAI bundles: configs/metadata.json and configs/inference.json beside models/model.pt, whichever of these someone points at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mednextseg.json_values import json_object, listed, read_json_object, shown
from mednextseg.models.importers.monai.config import BundleConfig, transforms_of
from mednextseg.models.importers.monai.finishing import FoundFinish, read_finish
from mednextseg.models.importers.monai.network import axes_kji, read_network, window_fields
from mednextseg.models.importers.monai.preparation import read_preparation
from mednextseg.models.importers.naming import channel_fields, label_fields, slug
from mednextseg.models.importers.package import UNKNOWN_LICENSE, Draft
from mednextseg.models.importers.plain import tensors_of
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint

_METADATA, _INFERENCE, _WEIGHTS = "metadata.json", "inference.json", "model.pt"
_PROGRAM = "model.ts"
_AS_IT_COMES = {"scheme": "none"}  # the steps of preparation scale intensities


def is_monai_bundle(path: Path) -> bool:
    """Whether the path is a bundle's folder, one of its folders or files, or a folder with one bundle in it."""
    return _root(path) is not None


def read_monai_bundle(path: Path) -> Draft:
    """Read a bundle.

    Raises:
        ValueError: where a file or entry is missing, or a network, transform or expression is not known.
    """
    root = _root(path)
    config_file, metadata = _config_file(root, path), read_json_object(root / "configs" / _METADATA)
    config = BundleConfig(config_file)
    architecture = read_network(_entry(config, "network", "network_def"))
    inferer = _needed(config, "inferer")
    windows, axes = window_fields(inferer), axes_kji(inferer)
    preparation = read_preparation(transforms_of(_needed(config, "preprocessing"), "preprocessing")).along(axes)
    if not preparation.steps:
        raise ValueError(
            "the bundle neither resamples images nor scales their intensities; import its weights with a card of your own."
        )
    image, outputs = _described(metadata)
    finish = read_finish(transforms_of(_needed(config, "postprocessing"), "postprocessing"), len(outputs))
    labels = _labels(outputs, finish)
    weights = _weights(root, path, config)
    return Draft(
        fields={
            "id": slug(str(metadata.get("name", root.name))),
            "version": str(metadata.get("version", "1.0.0")),
            "title": str(metadata.get("name", root.name)),
            "task": "segment",
            "channels": _channels(image, architecture),
            "labels": [label_fields(value, name) for value, name in labels],
            "orientation": preparation.orientation,
            "reorient_only": preparation.orientation is not None,
            "axis_order_kji": [2 - axis for axis in axes],
            "spacing_kji_mm": preparation.spacing,
            "preparation": [vars(step) for step in preparation.steps],
            **windows,
            **_finish_fields(finish, dict(labels)),
            "weights_license": str(metadata.get("license", UNKNOWN_LICENSE)),
            "citation": "; ".join(str(text) for text in metadata.get("references") or []),
            "source": {"program": "MONAI bundle"},
        },
        folds=(lambda: tensors_of(load_checkpoint(weights), weights.name),),
        sources=(weights, root / "configs" / _METADATA, config_file),
        architecture=architecture,
        notes=tuple(finish.notes),
    )


def _described(metadata: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """What metadata.json says of the input image, and (number, name) of the outputs."""
    data_format = json_object(metadata.get("network_data_format") or {}, "network_data_format of metadata.json")
    return _part(_part(data_format, "inputs"), "image"), _outputs(
        _part(_part(data_format, "outputs"), "pred").get("channel_def")
    )


def _root(path: Path) -> Path | None:
    """The bundle's folder, from it, from what lies in it, or from a folder with nothing else."""
    candidates = [path, path.parent, path.parent.parent] if path.is_file() else [path, path.parent]
    for number, folder in enumerate(candidates):
        inside = path.relative_to(folder).parts if number else ()
        if (folder / "configs" / _METADATA).is_file() and (not inside or inside[0] in ("configs", "models")):
            return folder
    if not path.is_dir():
        return None
    below = [child for child in sorted(path.iterdir()) if (child / "configs" / _METADATA).is_file()]
    return below[0] if len(below) == 1 else None


def _config_file(root: Path, path: Path) -> Path:
    """The description of inference: the one pointed at, or inference.json."""
    if path.is_file() and path.suffix == ".json" and path.name != _METADATA and path.parent.name == "configs":
        return path
    wanted = root / "configs" / _INFERENCE
    if wanted.is_file():
        return wanted
    others = sorted(file.name for file in (root / "configs").glob("inference*.y*ml"))
    if others:
        raise ValueError(
            f"the bundle {root.name} describes its inference in {listed(others)}, and only JSON is read; write it as {_INFERENCE} "
            "beside it with MONAI's ConfigParser.export_config_file(ConfigParser.load_config_file(yaml_file), json_file)."
        )
    raise ValueError(f"the bundle {root.name} has no configs/{_INFERENCE}; download it with its weights.")


def _weights(root: Path, path: Path, config: BundleConfig) -> Path:
    """The checkpoint: the one pointed at, the one that the configuration loads, or models/model.pt."""
    if path.is_file() and path.parent.name == "models":
        return path
    name = Path(str(_loaded_file(config) or _WEIGHTS).replace("\\", "/")).name
    for file in (root / "models" / name, root / "models" / _WEIGHTS):
        if file.is_file() and file.suffix != ".ts":
            return file
    if (root / "models" / _PROGRAM).is_file():
        raise ValueError(
            f"the bundle {root.name} has only models/{_PROGRAM}, a TorchScript program; download its models/{_WEIGHTS}."
        )
    raise ValueError(f"the bundle {root.name} has no models/{name}; download it with its weights.")


def _loaded_file(config: BundleConfig) -> str | None:
    handlers = config.value("handlers", [])
    loaders = [config.value("checkpointloader"), *(handlers if isinstance(handlers, list) else [])]
    for entry in loaders:
        if isinstance(entry, Mapping) and str(entry.get("_target_", "")).endswith("CheckpointLoader"):
            path = entry.get("load_path")
            return path if isinstance(path, str) and not path.startswith(("$", "@")) else None
    return None


def _entry(config: BundleConfig, *names: str) -> Any:
    """The first of these entries that is an object; None where there is none of them."""
    values = [config.value(name) for name in names if name in config]
    return next((value for value in values if isinstance(value, Mapping)), values[0] if values else None)


def _needed(config: BundleConfig, name: str) -> Any:
    if name not in config:
        raise ValueError(f"the bundle's configuration has no {name}; give the one that describes its inference.")
    return config.value(name)


def _part(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return json_object(table.get(name) or {}, f"{name} of network_data_format in metadata.json")


def _outputs(given: object) -> list[tuple[int, str]]:
    """(number, name) of the network's outputs, in order."""
    table = (
        dict(enumerate(given))
        if isinstance(given, list)
        else json_object(given or {}, "channel_def of the outputs in metadata.json")
    )
    if not table:
        raise ValueError("the bundle's metadata.json names no labels (network_data_format.outputs.pred.channel_def).")
    if any(not str(number).isdecimal() for number in table):
        raise ValueError(f"channel_def of the outputs in metadata.json must number its labels, got {listed(table)}.")
    named = sorted((int(number), str(name)) for number, name in table.items())
    if [number for number, _ in named] != list(range(len(named))):
        raise ValueError(
            f"channel_def of the outputs in metadata.json leaves numbers out: {listed(number for number, _ in named)}."
        )
    return named


def _labels(outputs: list[tuple[int, str]], finish: FoundFinish) -> list[tuple[int, str]]:
    if finish.activation == "sigmoid":
        if finish.renumbered:
            raise ValueError("the bundle renumbers overlapping outputs, which cannot be repeated.")
        return [(number + 1, name) for number, name in outputs]
    if finish.renumbered and (finish.largest_of or finish.largest_together):
        raise ValueError("the bundle both renumbers labels and keeps largest components, which cannot be repeated.")
    values = {number: finish.renumbered.get(number, number) for number, _ in outputs}
    if values[0] != 0 or len(set(values.values())) != len(values):
        raise ValueError(f"the bundle's renumbering merges labels ({shown(finish.renumbered)}), which has no equal here.")
    return [(values[number], name) for number, name in outputs[1:]]


def _finish_fields(finish: FoundFinish, names: Mapping[int, str]) -> dict[str, Any]:
    overlap = finish.activation == "sigmoid" and len(names) > 1

    def meant(labels: tuple[int, ...] | None) -> list[int]:
        """Of overlapping outputs MONAI counts channels, from 0 on, and without a list it takes the first for the background."""
        if labels is None:
            return list(names)[1:] if overlap else list(names)
        return [value for value in names if (value - 1 if overlap else value) in labels]

    rules = [(value,) for labels in finish.largest_of for value in meant(labels)]
    rules += [tuple(meant(labels)) for labels in finish.largest_together]
    named = [{"labels": [names[value] for value in rule], "connectivity": finish.connectivity} for rule in rules if rule]
    return {
        "average": "logits",
        "activation": finish.activation,
        "labels_overlap": overlap,
        "interpolated": finish.interpolated,
        "component_rules": named,
    }


def _channels(image: Mapping[str, Any], architecture: Mapping[str, Any]) -> list[dict]:
    modality, names = str(image.get("modality", "image")), image.get("channel_def") or {}
    names = (
        dict(enumerate(names)) if isinstance(names, list) else json_object(names, "channel_def of the inputs in metadata.json")
    )
    names = {str(number): str(name) for number, name in names.items()}
    count = (architecture.get("arguments") or {}).get("in_channels") or image.get("num_channels", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 100:
        raise ValueError(f"the bundle's number of channels is {shown(count)} where a whole number is needed.")
    if count == 1:
        return [channel_fields(modality, _AS_IT_COMES)]
    channels = [channel_fields(names.get(str(n), f"{modality} {n}"), _AS_IT_COMES) for n in range(count)]
    known = channel_fields(modality, _AS_IT_COMES)["modality"]
    return [{**channel, "modality": known} if known != "other" else channel for channel in channels]
