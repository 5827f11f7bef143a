"""The architecture of a U-Net from the plans of nnU-Net v2, read as data: no class is imported by the name that stands there.

Three spellings are in use: `architecture`; before it `network_arch_class_name` with `network_arch_init_kwargs`; and before that
`UNet_class_name` with entries of the configuration itself.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mednextseg.json_values import listed
from mednextseg.models.unet_names import FIRST_CONVOLUTIONS, unet_class_name
from mednextseg.networks.plain_conv_unet import PlainConvUNetConfig, UNetConfig
from mednextseg.networks.residual_encoder_unet import ResidualEncoderUNetConfig

_CONFIGS: dict[str, type[PlainConvUNetConfig] | type[ResidualEncoderUNetConfig]] = {
    "PlainConvUNet": PlainConvUNetConfig,
    "ResidualEncoderUNet": ResidualEncoderUNetConfig,
}
_DEPTHS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
_AXES = {"Conv2d": 2, "Conv3d": 3}
# Read, or without effect on a result: dropout is off when a trained network runs.
_KNOWN = {
    *("n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias"),
    *("norm_op", "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin", "nonlin_kwargs", "deep_supervision"),
}
_USUAL = {"block": "BasicBlockD", "pool": "conv", "pool_type": "conv"}


def unet_config_of(
    tensors: Mapping[str, Tensor], architecture: Mapping[str, Any] | None
) -> PlainConvUNetConfig | ResidualEncoderUNetConfig:
    """The configuration of a U-Net: channels and classes from its tensors, the rest from what describes it.

    Args:
        tensors: of one of the two U-Nets, without aliases.
        architecture: the card's, which has all fields of UNetConfig; or a plan's `architecture` entry.
    Raises:
        ValueError: where there is no description, or the tensors are another network's.
    """
    network = unet_class_name(tensors)
    if not architecture or not ({"widths", "network_class_name"} & set(architecture)):
        raise ValueError(
            f'a {network}\'s tensors do not tell all of its architecture; copy the entry "architecture" of the plans into the card.'
        )
    fields = dict(architecture) if "widths" in architecture else architecture_of_plan({"architecture": architecture}, network)
    head = f"decoder.seg_layers.{len(fields['widths']) - 2}.weight"
    if head not in tensors:
        raise ValueError(f"the weights lack {head}; the file is not whole or is another network's.")
    fields |= {"in_channels": tensors[FIRST_CONVOLUTIONS[network]].shape[1], "num_classes": tensors[head].shape[0]}
    config = _CONFIGS[network](**{name: _frozen(value) for name, value in fields.items()})
    _check_stages(config, tensors)
    return config


def architecture_of_plan(configuration: Mapping[str, Any], network: str) -> dict[str, Any]:
    """A configuration's architecture as fields of UNetConfig, without channels and classes.

    Args:
        configuration: of the plans, with all it inherits.
        network: which U-Net the weights are, from `unet_class_name`.
    Raises:
        ValueError: for another network, parts of it that are not supported, or entries that are no numbers.
    """
    class_name, arguments = _class_and_arguments(configuration)
    name = class_name.rpartition(".")[2]
    if name != network:
        raise ValueError(
            f"the plans describe the network {name}, but the weights are of a {network}; a custom trainer's cannot be read."
        )
    _refuse_unknown_parts(network, arguments)
    try:
        return _fields(arguments, _DEPTHS[network])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"the plans' architecture of the {network} is not whole, or a number is none ({error}).") from error


def _class_and_arguments(configuration: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if "architecture" in configuration:
        entry = configuration["architecture"]
        return str(entry.get("network_class_name")), entry.get("arch_kwargs") or {}
    if "network_arch_class_name" in configuration:
        return str(configuration["network_arch_class_name"]), configuration.get("network_arch_init_kwargs") or {}
    name = str(configuration.get("UNet_class_name"))
    try:
        depths = configuration["n_conv_per_stage_encoder"]
        widest, width = configuration["unet_max_num_features"], configuration["UNet_base_num_features"]
        axes = len(configuration["patch_size"])
        return name, {
            "n_stages": len(depths),
            "features_per_stage": [min(width * 2**stage, widest) for stage in range(len(depths))],
            "conv_op": f"Conv{axes}d",
            "kernel_sizes": configuration["conv_kernel_sizes"],
            "strides": configuration["pool_op_kernel_sizes"],
            _DEPTHS.get(name, "n_conv_per_stage"): depths,
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"InstanceNorm{axes}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "LeakyReLU",
        }
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the plans do not describe the network: {error} is missing or no number; copy the whole folder."
        ) from error


def _refuse_unknown_parts(network: str, arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        usual = _USUAL.get(name) == str(value).rpartition(".")[2]
        if name not in (*_KNOWN, _DEPTHS[network]) and value and not usual:
            raise ValueError(f"the plans ask for a {network} with {name} = {value}, which is not supported.")
    norm, activation = _last(arguments.get("norm_op")), _last(arguments.get("nonlin"))
    if norm not in ("InstanceNorm2d", "InstanceNorm3d"):
        raise ValueError(f"the plans ask for the norm {norm}; only InstanceNorm is supported.")
    if activation not in ("LeakyReLU", "ReLU"):
        raise ValueError(f"the plans ask for the activation {activation}; only LeakyReLU and ReLU are supported.")
    if _last(arguments.get("conv_op")) not in _AXES:
        raise ValueError(f"the plans ask for {arguments.get('conv_op')}; only Conv2d and Conv3d are supported.")
    unknown = set(arguments.get("norm_op_kwargs") or {}) - {"eps", "affine", "momentum"}
    if unknown:
        raise ValueError(f"the plans ask for a norm with {listed(sorted(unknown))}; only eps and affine are supported.")


def _fields(arguments: Mapping[str, Any], depths: str) -> dict[str, Any]:
    axes, stages = _AXES[_last(arguments["conv_op"])], int(arguments["n_stages"])
    norm, activation = arguments.get("norm_op_kwargs") or {}, arguments.get("nonlin_kwargs") or {}
    slope = float(activation.get("negative_slope", 0.01)) if _last(arguments["nonlin"]) == "LeakyReLU" else 0.0
    return {
        "widths": _numbers(arguments["features_per_stage"], stages),
        "kernel_sizes": _sizes(arguments["kernel_sizes"], stages, axes),
        "strides": _sizes(arguments["strides"], stages, axes),
        "encoder_depths": _numbers(arguments[depths], stages),
        "decoder_depths": _numbers(arguments["n_conv_per_stage_decoder"], stages - 1),
        "conv_bias": bool(arguments.get("conv_bias", False)),
        "norm_eps": float(norm.get("eps", 1e-5)),
        "norm_affine": bool(norm.get("affine", False)),
        "negative_slope": slope,
    }


def _numbers(value: Any, count: int) -> list[int]:
    """One number for all stages, or one for each."""
    return [int(n) for n in value] if isinstance(value, list | tuple) else [int(value)] * count


def _sizes(value: Any, stages: int, axes: int) -> list[list[int]]:
    """One size for all stages or one for each; one number for all axes or one for each."""
    listed = value if isinstance(value, list | tuple) else [value] * stages
    return [_numbers(size, axes) for size in listed]


def _check_stages(config: UNetConfig, tensors: Mapping[str, Tensor]) -> None:
    """Compare with the transposed convolutions, which show all widths and strides, before a network of any size is built."""
    last = len(config.widths) - 1
    for step in range(last):
        stage = last - step
        described = (config.widths[stage], config.widths[stage - 1], *config.strides[stage])
        tensor = tensors.get(f"decoder.transpconvs.{step}.weight")
        if tensor is None or tuple(tensor.shape) != described:
            found = "are none" if tensor is None else f"have {tuple(tensor.shape)}"
            raise ValueError(
                f"the plans describe weights {described} for decoder.transpconvs.{step}, but there {found}; they are another network's."
            )
    if sum(config.encoder_depths) + sum(config.decoder_depths) > len(tensors):
        raise ValueError("the plans describe more convolutions than the weights have; they are another network's.")


def _last(dotted: Any) -> str:
    return str(dotted).rpartition(".")[2]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list | tuple) else value
