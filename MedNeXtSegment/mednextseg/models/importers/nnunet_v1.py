"""Results of nnU-Net v1: its own Generic_UNet, cascades, the layout of MedNeXt's training program and of the published STU-Net weights.

    .../3d_fullres/TaskNNN_Name/<Trainer>__<Plans>/{plans.pkl, postprocessing.json, fold_k/model_final_checkpoint.model(.pkl)}

The rules that the card fields stand for are those of nnU-Net 1.7 (Isensee et al., Nature Methods 2021): crop to the nonzero box, resample
by cubic splines, then normalize; probabilities are averaged over windows, mirror images and folds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mednextseg.json_values import json_object, read_json_object
from mednextseg.labels.codes import stu_net_labels
from mednextseg.models.importers.naming import channel_fields, label_fields, slug
from mednextseg.models.importers.nnunet_rules import rules_of_v1
from mednextseg.models.importers.package import Draft
from mednextseg.models.importers.results_folder import fold_checkpoints
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint, load_pickle

CHECKPOINTS = ("model_final_checkpoint.model", "model_latest.model", "model_best.model")
_SCHEMES = {"CT": "ct", "CT2": "clip_zscore", "nonCT": "zscore", "noNorm": "none"}
# By the number of axes of a window.
_PREPROCESSORS = {2: ("GenericPreprocessor", "PreprocessorFor2D", None), 3: ("GenericPreprocessor", None)}
# Trainers whose networks have the usual tensors and compute something else with them.
_OTHER_NETWORKS = re.compile(r"relu|mish|_gn(_|$)|_frn", re.IGNORECASE)
# Position of the stage in the arguments that a trainer was made with.
_INIT_STAGE = 5
# Of the second stage of a cascade: in the trainer's name, and where its arguments name the trainer of the first.
_CASCADE, _INIT_FIRST_TRAINER = "Cascade", 8


def is_nnunet_v1(path: Path) -> bool:
    """Whether the path is, or holds, a *.model file with its *.model.pkl."""
    return bool(fold_checkpoints(path, CHECKPOINTS, ".model"))


def read_nnunet_v1(path: Path) -> Draft:
    """Read a results folder at any of its levels, or one .model file.

    Raises:
        ValueError: where plans or weights are missing, or ask for something the engine does not do exactly.
    """
    draft, info = _network(fold_checkpoints(path, CHECKPOINTS, ".model"))
    return _cascade(draft, info) if _CASCADE in str(info.get("name", "")) else draft


def _cascade(second: Draft, info: Mapping[str, Any]) -> Draft:
    """Both stages; nnU-Net v1 cleans up after each of them."""
    first, _ = _network(_first_stage(second.sources[0], info.get("init", ())))
    of_second = {
        "id": f"{second.fields['id']}-second-stage",
        "component_rules": [],
        "previous_labels": [label["value"] for label in second.fields["labels"]],
        "previous_labels_linear": True,
    }
    stages = (first, replace(second, fields={**second.fields, **of_second}))
    return Draft({**second.fields, "combination": "cascade"}, folds=(), sources=(), parts=stages)


def _first_stage(checkpoint: Path, init: Sequence[Any]) -> list[Path]:
    """Checkpoints of the first stage: of the trainer that the second one names, or of the only one with its plans."""
    trainer = checkpoint.parent.parent
    low = trainer.parent.parent.parent / "3d_lowres" / trainer.parent.name
    plans = trainer.name.rpartition("__")[2]
    named = str(init[_INIT_FIRST_TRAINER]) if len(init) > _INIT_FIRST_TRAINER else ""
    same = low / f"{named if named.isidentifier() else 'nnUNetTrainerV2'}__{plans}"
    found = [same] if same.is_dir() else sorted(low.glob(f"*__{plans}"))
    checkpoints = fold_checkpoints(found[0], CHECKPOINTS, ".model") if len(found) == 1 else []
    if not checkpoints:
        raise ValueError(
            f"{checkpoint.name} is of the second stage of a cascade and needs the results of the first, "
            f"{'/'.join(same.parts[-3:])}, beside its own folder 3d_cascade_fullres; copy both folders."
        )
    return checkpoints


def _network(checkpoints: Sequence[Path]) -> tuple[Draft, Mapping[str, Any]]:
    """One trained network, and what its trainer noted of itself."""
    pickles = [checkpoint.with_name(f"{checkpoint.name}.pkl") for checkpoint in checkpoints]
    for pickled in pickles:
        if not pickled.is_file():
            raise ValueError(f"{pickled.name} is missing beside its .model file; copy both, they belong together.")
    info = load_pickle(pickles[0])
    trainer = str(info.get("name", ""))
    plans = info.get("plans") or load_pickle(checkpoints[0].parents[1] / "plans.pkl")
    stage = _stage(plans, info.get("init", ()))
    _refuse_what_differs(plans, trainer)
    dataset, architecture = _dataset_name(checkpoints[0], info), {}
    if plans["plans_per_stage"][stage].get("pool_op_kernel_sizes"):
        architecture["pool_sizes_kji"] = [
            [int(n) for n in pool] for pool in plans["plans_per_stage"][stage]["pool_op_kernel_sizes"]
        ]
    names = _label_names(checkpoints[0], plans)
    draft = Draft(
        fields={
            "id": slug(dataset, trainer),
            "title": f"{dataset} ({trainer})",
            "task": "segment",
            "channels": _channels(plans),
            "labels": [label_fields(value, name) for value, name in names.items()],
            **_grid(plans["plans_per_stage"][stage], "nomirror" not in trainer.lower()),
            "orientation": None,
            "axis_order_kji": [int(axis) for axis in plans.get("transpose_forward", (0, 1, 2))],
            "crop_to_nonzero": True,
            "normalize_first": False,
            "anisotropy_threshold": 3.0,
            "clip_resampled": True,
            "padding": "zero",
            "average": "probabilities",
            "overlap": 0.5,
            "component_rules": rules_of_v1(checkpoints[0], names),
            "source": {"program": "nnU-Net v1", "trainer": trainer, "dataset": dataset},
        },
        folds=tuple(lambda file=file: _tensors(file) for file in checkpoints),
        sources=(*checkpoints, *pickles),
        architecture=architecture,
    )
    return draft, info


def _tensors(checkpoint: Path) -> Mapping[str, Tensor]:
    content = load_checkpoint(checkpoint)
    if not isinstance(content.get("state_dict"), Mapping):
        raise ValueError(f"{checkpoint.name} has no state_dict; it is not a checkpoint of nnU-Net v1.")
    return content["state_dict"]


def _stage(plans: Mapping[str, Any], init: Sequence[Any]) -> int:
    stages = plans["plans_per_stage"]
    asked = init[_INIT_STAGE] if len(init) > _INIT_STAGE else None
    return int(asked) if asked in stages else max(stages)


def _grid(stage: Mapping[str, Any], is_mirrored: bool) -> dict:
    """Spacing, patch and axes to mirror along; a 2D stage has a spacing across its slices, which its preprocessor leaves alone."""
    spacing, patch = [float(s) for s in stage["current_spacing"]], [int(n) for n in stage["patch_size"]]
    if len(patch) == 2:
        grid: dict = {"spacing_kji_mm": spacing, "patch_size_kji": [1, *patch], "slice_by_slice": True}
    else:
        grid = {"spacing_kji_mm": spacing, "patch_size_kji": patch}
    return {**grid, "mirror_axes_kji": list(range(3 - len(patch), 3)) if is_mirrored else []}


def _refuse_what_differs(plans: Mapping[str, Any], trainer: str) -> None:
    if _OTHER_NETWORKS.search(trainer):
        raise ValueError(
            f"{trainer} trains a network with other activations or norms than nnU-Net's own; it cannot be imported."
        )
    preprocessor = plans.get("preprocessor_name")
    axes = {len(stage["patch_size"]) for stage in plans["plans_per_stage"].values()}
    if any(preprocessor not in _PREPROCESSORS.get(count, ()) for count in axes):
        raise ValueError(
            f"the model was trained with the preprocessor {preprocessor}, which is not known; only GenericPreprocessor is."
        )
    if "normalization_schemes" not in plans or "use_mask_for_norm" not in plans:
        raise ValueError(
            "the plans name no normalization_schemes; they are of an nnU-Net before version 1.5, which is not supported."
        )
    for channel, scheme in plans["normalization_schemes"].items():
        if scheme not in _SCHEMES:
            raise ValueError(f"channel {channel} has the normalization {scheme!r}; known ones: {', '.join(_SCHEMES)}.")
    export = plans.get("segmentation_export_params") or {}
    usual = {"force_separate_z": None, "interpolation_order": 1, "interpolation_order_z": 0}
    for name, value in usual.items():
        if export.get(name, value) != value:
            raise ValueError(f"the plans export segmentations with {name} = {export[name]}; only {value} is supported.")


def _channels(plans: Mapping[str, Any]) -> list[dict]:
    properties = plans["dataset_properties"].get("intensityproperties") or {}
    channels = []
    for number in range(int(plans["num_modalities"])):
        normalization: dict[str, Any] = {"scheme": _SCHEMES[plans["normalization_schemes"][number]]}
        if normalization["scheme"] in ("ct", "clip_zscore"):
            measured = properties[number]
            normalization |= {"lower": float(measured["percentile_00_5"]), "upper": float(measured["percentile_99_5"])}
        if normalization["scheme"] == "ct":
            normalization |= {"mean": float(measured["mean"]), "std": float(measured["sd"])}
        if normalization["scheme"] != "none":
            normalization["masked"] = bool(plans["use_mask_for_norm"][number])
        channels.append(channel_fields(str(plans["modalities"][number]), normalization))
    return channels


def _dataset_name(checkpoint: Path, info: Mapping[str, Any]) -> str:
    """TaskNNN_Name, from the folders or from what the trainer noted; the file's own name where neither says."""
    noted = next((part for part in info.get("init", ()) if isinstance(part, str) and "Task" in part), "")
    for folder in (*reversed(checkpoint.resolve().parts[:-1]), *reversed(Path(noted.replace("\\", "/")).parts)):
        if folder.startswith("Task"):
            return folder
    return checkpoint.stem


def _label_names(checkpoint: Path, plans: Mapping[str, Any]) -> dict[int, str]:
    """Label value -> name. nnU-Net v1 keeps names in dataset.json only, which may lie beside the results."""
    values = [int(value) for value in plans.get("all_classes") or range(1, int(plans["num_classes"]) + 1)]
    known = stu_net_labels()
    names = known if len(values) == len(known) else []
    for folder in list(checkpoint.parents)[:3]:
        if (folder / "dataset.json").is_file():
            labels = json_object(read_json_object(folder / "dataset.json").get("labels", {}), "labels of dataset.json")
            return {value: str(labels.get(str(value), f"label {value}")) for value in values}
    return {value: names[value - 1] if names else f"label {value}" for value in values}
