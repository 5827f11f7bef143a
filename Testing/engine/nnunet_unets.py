"""U-Nets as nnU-Net v2 plans and saves them: real plans, checkpoints with all their second names, small results folders."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mednextseg.models.families import NetworkConfig, build_network
from mednextseg.models.unet_plans import architecture_of_plan
from mednextseg.networks.plain_conv_unet import PlainConvUNetConfig
from mednextseg.networks.residual_encoder_unet import ResidualEncoderUNetConfig

CONFIGS = {"PlainConvUNet": PlainConvUNetConfig, "ResidualEncoderUNet": ResidualEncoderUNetConfig}
# (strides, kernel sizes) by stage, as the planner writes them: isotropic CT, thick slices (prostate MR), single slices.
_ISOTROPIC = [[1, 1, 1]] + [[2, 2, 2]] * 5, [[3, 3, 3]] * 6
_THICK = [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]], [[1, 3, 3]] * 2 + [[3, 3, 3]] * 4
_SEVEN = [[1, 1, 1]] + [[2, 2, 2]] * 5 + [[1, 2, 2]], [[3, 3, 3]] * 7
_SLICES = [[1, 1]] + [[2, 2]] * 6, [[3, 3]] * 7
_BLOCKS = [1, 3, 4, 6, 6, 6, 6]
_FUNCTION = "resample_data_or_seg_to_shape"
_OPTIONS = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
# As nnU-Net's planner writes them into every configuration.
_RESAMPLING = {
    "resampling_fn_data": _FUNCTION,
    "resampling_fn_seg": _FUNCTION,
    "resampling_fn_probabilities": _FUNCTION,
    "resampling_fn_data_kwargs": _OPTIONS,
    "resampling_fn_seg_kwargs": {**_OPTIONS, "is_seg": True, "order": 1},
    "resampling_fn_probabilities_kwargs": {**_OPTIONS, "order": 1},
}


def architecture(network: str, stages: tuple[list, list], widths: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    """A plan's `architecture` entry, as nnU-Net's planners write it."""
    strides, kernels = stages
    count, axes = len(strides), len(strides[0])
    depths = [2] * count if network == "PlainConvUNet" else _BLOCKS[:count]
    arguments = {
        "n_stages": count,
        "features_per_stage": widths or [min(32 * 2**stage, 512 if axes == 2 else 320) for stage in range(count)],
        "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
        "kernel_sizes": kernels,
        "strides": strides,
        "n_conv_per_stage" if network == "PlainConvUNet" else "n_blocks_per_stage": depths,
        "n_conv_per_stage_decoder": ([2] if network == "PlainConvUNet" else [1]) * (count - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
        **changes,
    }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


# ResEnc M and L plan the same network for the usual patches; XL reaches one stage further.
REAL_PLANS: dict[str, dict[str, Any]] = {
    "3d_fullres": architecture("PlainConvUNet", _ISOTROPIC),
    "3d_fullres, thick slices": architecture("PlainConvUNet", _THICK),
    "2d": architecture("PlainConvUNet", _SLICES),
    "ResEnc M and L, 3d_fullres": architecture("ResidualEncoderUNet", _ISOTROPIC),
    "ResEnc XL, 3d_fullres": architecture("ResidualEncoderUNet", _SEVEN),
    "ResEnc, thick slices": architecture("ResidualEncoderUNet", _THICK),
    "ResEnc, 2d": architecture("ResidualEncoderUNet", _SLICES),
}


def class_name(entry: Mapping[str, Any]) -> str:
    return entry["network_class_name"].rpartition(".")[2]


def narrowed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The same plan with a few channels and two blocks at most, which a processor computes in no time."""
    small = copy.deepcopy(dict(entry))
    arguments = small["arch_kwargs"]
    arguments["features_per_stage"] = [2 + stage for stage in range(arguments["n_stages"])]
    depths = "n_conv_per_stage" if class_name(entry) == "PlainConvUNet" else "n_blocks_per_stage"
    arguments[depths] = [min(depth, 2) for depth in arguments[depths]]
    return small


def config_of(entry: Mapping[str, Any], in_channels: int, num_classes: int) -> NetworkConfig:
    """Our configuration of a plan's entry, with channels and classes."""
    network = class_name(entry)
    fields = architecture_of_plan({"architecture": entry}, network)
    frozen = {name: _frozen(value) for name, value in fields.items()}
    return CONFIGS[network](in_channels=in_channels, num_classes=num_classes, **frozen)


def as_checkpoint(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A network's tensors under all names that nnU-Net saves them under."""
    named: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        part = re.search(r"\.(conv|norm)\.(weight|bias)$", name)
        names = [name]
        if part is not None:
            names.append(f"{name[: part.start()]}.all_modules.{int(part[1] == 'norm')}.{part[2]}")
        named |= dict.fromkeys(names, tensor)
        if name.startswith("encoder."):
            named |= {f"decoder.{alias}": tensor for alias in names}
    return named


def names_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """The first digits of a hash of all names and shapes."""
    lines = sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def legacy_configuration(entry: Mapping[str, Any], axes: int = 3) -> dict[str, Any]:
    """The same network as configurations before nnU-Net 2.4 spell it."""
    arguments, network = entry["arch_kwargs"], class_name(entry)
    strides = arguments["strides"]
    return {
        "UNet_class_name": network,
        "UNet_base_num_features": arguments["features_per_stage"][0],
        "unet_max_num_features": max(arguments["features_per_stage"]),
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage" if network == "PlainConvUNet" else "n_blocks_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [sum(stride[axis] == 2 for stride in strides) for axis in range(axes)],
        "pool_op_kernel_sizes": strides,
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }


def tiny_architecture(network: str, axes: int = 3, **changes: Any) -> dict[str, Any]:
    """Three stages with few channels; in volumes the first pooling leaves K alone."""
    stages = [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [[1, 3, 3], [3, 3, 3], [3, 3, 3]]
    if axes == 2:
        stages = [[1, 1], [2, 2], [2, 2]], [[3, 3]] * 3
    return architecture(network, stages, widths=[4, 8, 8], **changes)


def results_folder(
    root: Path,
    entry: Mapping[str, Any],
    configuration: str = "3d_fullres",
    legacy: bool = False,
    folds: int = 1,
    transpose: tuple[int, int, int] = (0, 1, 2),
    channels: int = 1,
    labels: Sequence[str] = ("liver", "spleen"),
    dataset_name: str = "Dataset011_Organs",
    **changes: Any,
) -> Path:
    """Trainer's folder of one CT channel and a few labels; `changes` replaces entries of the configuration.

    `channels` are the network's: more than one where labels of an earlier stage come along.
    """
    trainer = root / dataset_name / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    own: dict[str, Any] = {
        "spacing": [2.0, 1.0, 1.0],
        "patch_size": [8, 16, 16],
        "data_identifier": f"nnUNetPlans_{configuration}",
        "batch_size": 2,
        "batch_dice": False,
        "preprocessor_name": "DefaultPreprocessor",
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        **_RESAMPLING,
        **(legacy_configuration(entry) if legacy else {"architecture": entry}),
        **changes,
    }
    measured = {"0": {"mean": 20.0, "std": 50.0, "percentile_00_5": -100.0, "percentile_99_5": 200.0}}
    plans = {
        "dataset_name": dataset_name,
        "plans_name": "nnUNetPlans",
        "transpose_forward": list(transpose),
        "transpose_backward": [transpose.index(axis) for axis in range(3)],
        "image_reader_writer": "SimpleITKIO",
        "foreground_intensity_properties_per_channel": measured,
        "configurations": {configuration: own},
    }
    numbers = {"background": 0, **{name: number for number, name in enumerate(labels, start=1)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": numbers, "file_ending": ".nii.gz"}
    trainer.mkdir(parents=True)
    (trainer / "plans.json").write_text(json.dumps(plans))
    (trainer / "dataset.json").write_text(json.dumps(dataset))
    for fold in range(folds):
        (trainer / f"fold_{fold}").mkdir()
        content = {
            "network_weights": as_checkpoint(trained(entry, fold, channels, len(numbers))),
            "trainer_name": "nnUNetTrainer",
        }
        content["inference_allowed_mirroring_axes"] = tuple(range(len(own["patch_size"])))
        torch.save(content, trainer / f"fold_{fold}" / "checkpoint_final.pth")
    return trainer


def cascade_folders(root: Path, network: str = "PlainConvUNet", **changes: Any) -> Path:
    """A data set's folder with both stages of a cascade of this network; `changes` go for the second."""
    entry = tiny_architecture(network)
    results_folder(
        root, entry, "3d_lowres", **{"spacing": [4.0, 2.0, 2.0], "next_stage": "3d_cascade_fullres", **changes.pop("low", {})}
    )
    second = {"previous_stage": "3d_lowres", "channels": 3, **changes}
    return results_folder(root, entry, "3d_cascade_fullres", **second).parent


def trained(entry: Mapping[str, Any], seed: int = 0, channels: int = 1, classes: int = 3) -> dict[str, torch.Tensor]:
    """Tensors of a network whose norms are not the identity and whose classes differ clearly."""
    torch.manual_seed(seed)
    network = build_network(config_of(entry, channels, classes))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if ".norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        network.decoder.seg_layers[-1].weight.mul_(8)
    return network.state_dict()


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
