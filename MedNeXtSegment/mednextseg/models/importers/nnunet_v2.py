"""Results of nnU-Net v2, with its own U-Nets or with MedNeXt or STU-Net trainers: a folder at any level, or one .pth file.

    .../DatasetNNN_Name/<Trainer>__<Plans>__<configuration>/{plans.json, dataset.json, fold_k/checkpoint_final.pth}

A checkpoint carries its plans and its data set's description, so a lone file is enough. Which network it is, its tensors say; custom
trainers leave the plans' `architecture` entry at the default U-Net, so it is read for nnU-Net's own networks only. Rules: normalize, then
resample; logits are averaged (nnU-Net 2.x).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mednextseg.json_values import json_list, json_object, listed, number, read_json_object, whole_number
from mednextseg.models.importers.naming import channel_fields, label_fields, slug
from mednextseg.models.importers.nnunet_dataset import channel_names, foreground_values, label_values
from mednextseg.models.importers.nnunet_rules import rules_of_v2
from mednextseg.models.importers.package import Draft
from mednextseg.models.importers.results_folder import fold_checkpoints
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint
from mednextseg.models.unet_names import unet_class_name
from mednextseg.models.unet_plans import architecture_of_plan
from mednextseg.models.weights import without_wrapper_prefix

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
_SCHEMES = {
    "CTNormalization": "ct",
    "ZScoreNormalization": "zscore",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "minmax",
}
_RESAMPLING = {
    "resampling_fn_data": ("resample_data_or_seg_to_shape", {"order": 3, "order_z": 0, "force_separate_z": None}),
    "resampling_fn_probabilities": ("resample_data_or_seg_to_shape", {"order": 1, "order_z": 0, "force_separate_z": None}),
}
# Readers by the orientation they turn images to; None for those that take the axes as stored.
_READERS = {"SimpleITKIO": None, "NibabelIO": None, "NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS"}


def is_nnunet_v2(path: Path) -> bool:
    """Whether the path is, or holds, checkpoints under the names of nnU-Net v2, or a .pth file with its entries."""
    if path.is_file():
        return path.suffix == ".pth" and "network_weights" in load_checkpoint(path)
    return bool(fold_checkpoints(path, CHECKPOINTS, ".pth"))


def read_nnunet_v2(path: Path) -> Draft:
    """Read a results folder at any of its levels, or one .pth file.

    Raises:
        ValueError: where plans or weights are missing, or ask for something the engine does not do exactly.
    """
    draft, previous, values = _network(fold_checkpoints(path, CHECKPOINTS, ".pth"))
    return draft if previous is None else _cascade(draft, previous, values)


def _cascade(second: Draft, previous: str, values: list[int]) -> Draft:
    """Both stages; nnU-Net cleans up after the second one only."""
    first, before, _ = _network(_first_stage(second.sources[0].parents[1], previous))
    if before is not None:
        raise ValueError(f"the first stage {previous} of the cascade is a second stage itself; only cascades of two are known.")
    stages = (
        replace(first, fields={**first.fields, "component_rules": []}),
        replace(
            second,
            fields={
                **second.fields,
                "id": f"{second.fields['id']}-second-stage",
                "component_rules": [],
                "previous_labels": values,
            },
        ),
    )
    fields = {**second.fields, "combination": "cascade"}
    return Draft(fields, folds=(), sources=(), notes=(*first.notes, *second.notes), parts=stages)


def _first_stage(trainer: Path, previous: str) -> list[Path]:
    """Checkpoints of the stage before: the same trainer's beside this one, or the only one there."""
    same = trainer.with_name(f"{trainer.name.rpartition('__')[0]}__{previous}")
    found = [same] if same.is_dir() else sorted(trainer.parent.glob(f"*__{previous}"))
    checkpoints = fold_checkpoints(found[0], CHECKPOINTS, ".pth") if len(found) == 1 else []
    if not checkpoints:
        raise ValueError(
            f"{trainer.name} is the second stage of a cascade and needs the results of {previous} beside it ({same.name}); "
            "copy both folders."
        )
    return checkpoints


def _network(checkpoints: Sequence[Path]) -> tuple[Draft, str | None, list[int]]:
    """One trained network, the configuration whose labels it takes as channels (None for none), and the numbers of those."""
    content = load_checkpoint(checkpoints[0])
    init = content.get("init_args") or {}
    folder = checkpoints[0].parents[1]
    plans = json_object(init.get("plans") or _json(folder / "plans.json"), "plans.json")
    dataset = json_object(init.get("dataset_json") or _json(folder / "dataset.json"), "dataset.json")
    name = init.get("configuration") or folder.name.rpartition("__")[2]
    configuration = _configuration(plans, name)
    _refuse_what_differs(configuration, name)
    trainer = str(content.get("trainer_name", folder.name.partition("__")[0]))
    labels, is_regions = label_values(dataset)
    title = str(plans.get("dataset_name", checkpoints[0].stem))
    # Configurations and plans of one data set lie side by side in a library; the usual ones go without saying.
    variant = [part for part in (plans.get("plans_name"), name) if part not in (None, "nnUNetPlans", "3d_fullres")]
    draft = Draft(
        fields={
            "id": slug(title, trainer, *variant),
            "title": f"{title} ({listed((trainer, *variant))})",
            "task": "segment",
            "channels": _channels(plans, configuration, dataset),
            "labels": [label_fields(value, label) for value, label in labels],
            **_grid(plans, configuration),
            **_axes(plans, dataset),
            "crop_to_nonzero": True,
            "normalize_first": True,
            "anisotropy_threshold": 3.0,
            "clip_resampled": True,
            "padding": "zero",
            "average": "logits",
            "activation": "sigmoid" if is_regions else "softmax",
            "overlap": 0.5,
            "mirror_axes_kji": _mirror_axes(content, len(configuration["patch_size"])),
            "component_rules": rules_of_v2(checkpoints, dict(labels)),
            "source": {"program": "nnU-Net v2", "trainer": trainer, "configuration": name, "dataset": title},
        },
        folds=tuple(lambda file=file: _tensors(file) for file in checkpoints),
        sources=tuple(checkpoints),
        architecture=_architecture(configuration, without_wrapper_prefix(content.get("network_weights") or {})),
        notes=_notes(checkpoints),
    )
    return draft, configuration.get("previous_stage") or None, foreground_values(dataset)


def _notes(checkpoints: Sequence[Path]) -> tuple[str, ...]:
    names = sorted({checkpoint.name for checkpoint in checkpoints})
    return (f"The folds are of different moments of training: {listed(names)}.",) if len(names) > 1 else ()


def _tensors(checkpoint: Path) -> Mapping[str, Tensor]:
    content = load_checkpoint(checkpoint)
    if not isinstance(content.get("network_weights"), Mapping):
        raise ValueError(f"{checkpoint.name} has no network_weights; it is not a checkpoint of nnU-Net v2.")
    return content["network_weights"]


def _json(path: Path) -> dict:
    if not path.is_file():
        raise ValueError(
            f"{path.name} is missing beside the folds, and the checkpoint has no plans of its own; copy the whole folder."
        )
    return read_json_object(path)


def _configuration(plans: Mapping[str, Any], name: str, heirs: tuple[str, ...] = ()) -> dict:
    """One configuration with all it inherits."""
    configurations = json_object(plans.get("configurations"), "configurations of the plans")
    if name in heirs:
        raise ValueError(f"the configuration {name} of the plans inherits from itself; correct the plans.")
    if name not in configurations:
        raise ValueError(f"the plans have no configuration {name!r}; they have: {listed(configurations)}.")
    own = json_object(configurations[name], f"the configuration {name} of the plans")
    inherited = _configuration(plans, own["inherits_from"], (*heirs, name)) if "inherits_from" in own else {}
    return {**inherited, **own}


def _refuse_what_differs(configuration: Mapping[str, Any], name: str) -> None:
    missing = [
        f for f in ("spacing", "patch_size", "normalization_schemes") if not isinstance(configuration.get(f), list | tuple)
    ]
    if missing:
        raise ValueError(
            f"the configuration {name} of the plans lacks {listed(missing)} (a list); copy the plans of the training."
        )
    preprocessor = configuration.get("preprocessor_name")
    if preprocessor != "DefaultPreprocessor":
        raise ValueError(
            f"the model was trained with the preprocessor {preprocessor}, which is not known; only DefaultPreprocessor is."
        )
    for scheme in configuration["normalization_schemes"]:
        if scheme not in _SCHEMES:
            raise ValueError(f"the plans ask for the normalization {scheme!r}; known ones: {listed(_SCHEMES)}.")
    for entry, (function, arguments) in _RESAMPLING.items():
        used = configuration.get(entry, function)
        if used != function:
            raise ValueError(f"the plans ask for {entry} = {used}; only nnU-Net's default {function} is supported.")
        for argument, value in arguments.items():
            asked = configuration.get(f"{entry}_kwargs", {}).get(argument, value)
            if asked != value:
                raise ValueError(f"the plans ask for {entry} with {argument} = {asked}; only {value} is supported.")
    if len(configuration["patch_size"]) not in (2, 3):
        raise ValueError(f"the patch of the configuration {name} must have 2 or 3 sizes, got {configuration['patch_size']}.")


def _grid(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> dict:
    """Spacing and patch. A 2D configuration has no spacing across its slices; the plans' median says what was usual."""
    spacing = [number(s, "a spacing of the plans") for s in configuration["spacing"]]
    patch = [whole_number(n, "a patch size of the plans", 1) for n in configuration["patch_size"]]
    if len(patch) == 3:
        return {"spacing_kji_mm": spacing, "patch_size_kji": patch}
    usual = plans.get("original_median_spacing_after_transp") or spacing
    across = number(usual[0], "original_median_spacing_after_transp of the plans")
    return {"spacing_kji_mm": [across, *spacing[-2:]], "patch_size_kji": [1, *patch], "slice_by_slice": True}


def _mirror_axes(content: Mapping[str, Any], axes: int) -> list[int]:
    """Along K, J, I; a 2D network counts its own axes."""
    return [int(axis) + 3 - axes for axis in content.get("inference_allowed_mirroring_axes") or ()]


def _channels(plans: Mapping[str, Any], configuration: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[dict]:
    schemes = configuration["normalization_schemes"]
    names, masks = channel_names(dataset, len(schemes)), configuration.get("use_mask_for_norm") or []
    properties = (
        plans.get("foreground_intensity_properties_per_channel")
        or plans.get("foreground_intensity_properties_by_modality")
        or {}
    )
    channels = []
    for index, scheme in enumerate(schemes):
        normalization: dict[str, Any] = {"scheme": _SCHEMES[scheme]}
        if scheme == "CTNormalization":
            measured = json_object(properties.get(str(index)), f"the intensities of channel {index} in the plans")
            found = {"lower": "percentile_00_5", "upper": "percentile_99_5", "mean": "mean", "std": "std"}
            normalization |= {n: number(measured.get(own), f"{own} of channel {index}") for n, own in found.items()}
        elif scheme == "ZScoreNormalization":  # the only scheme of nnU-Net v2 that looks at the mask
            normalization["masked"] = bool(masks[index]) if index < len(masks) else False
        channels.append(channel_fields(names[index], normalization))
    return channels


def _axes(plans: Mapping[str, Any], dataset: Mapping[str, Any]) -> dict:
    """How the volume is turned: the stored axes in the plans' order, or anatomical ones where the reader turns to them."""
    reader = dataset.get("overwrite_image_reader_writer") or plans.get("image_reader_writer", "SimpleITKIO")
    if reader not in _READERS:
        raise ValueError(f"the model reads images with {reader}, which is not known; known ones: {listed(_READERS)}.")
    what = "transpose_forward of the plans"
    order = [whole_number(axis, what, 0, 2) for axis in json_list(plans.get("transpose_forward"), what)]
    letters_ijk = _READERS[reader]
    if letters_ijk is None:
        return {"orientation": None, "axis_order_kji": order}
    letters_kji = letters_ijk[::-1]
    return {
        "orientation": "".join(letters_kji[axis] for axis in order)[::-1],
        "axis_order_kji": [0, 1, 2],
        "reorient_only": True,
        "axes_by_sform": reader.startswith("Nibabel"),
    }


def _architecture(configuration: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict:
    """What tensors do not show: a U-Net's stages; for STU-Net pooling sizes, by the old plans' entry or the newer ones' strides."""
    if (network := unet_class_name(tensors)) is not None:
        return architecture_of_plan(configuration, network)
    pools = configuration.get("pool_op_kernel_sizes")
    if pools is None:
        pools = (configuration.get("architecture") or {}).get("arch_kwargs", {}).get("strides") or []
    # nnU-Net v2 counts a first stage without pooling.
    return {"pool_sizes_kji": [[int(n) for n in pool] for pool in pools[1:]]} if pools else {}
