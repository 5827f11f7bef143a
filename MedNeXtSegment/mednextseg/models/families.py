"""The networks that models can have, by their configurations: the one list of families."""

from collections.abc import Callable

from torch import nn

from mednextseg.networks.generic_unet import GenericUNet, GenericUNetConfig
from mednextseg.networks.mednext import SIZE_DIVISOR, MedNeXt, MedNeXtConfig
from mednextseg.networks.monai_network import MonaiConfig, build_monai_network
from mednextseg.networks.plain_conv_unet import PlainConvUNet, PlainConvUNetConfig
from mednextseg.networks.residual_encoder_unet import ResidualEncoderUNet, ResidualEncoderUNetConfig
from mednextseg.networks.stu_net import STUNet, STUNetConfig

NetworkConfig = MedNeXtConfig | STUNetConfig | PlainConvUNetConfig | ResidualEncoderUNetConfig | GenericUNetConfig | MonaiConfig
# Name on the card, and what builds it, by the type of `network.config`.
_FAMILIES: dict[type, tuple[str, Callable[..., nn.Module]]] = {
    MedNeXtConfig: ("mednext", MedNeXt),
    STUNetConfig: ("stu_net", STUNet),
    PlainConvUNetConfig: ("plain_conv_unet", PlainConvUNet),
    ResidualEncoderUNetConfig: ("residual_encoder_unet", ResidualEncoderUNet),
    GenericUNetConfig: ("generic_unet", GenericUNet),
    MonaiConfig: ("monai", build_monai_network),
}


def build_network(config: NetworkConfig) -> nn.Module:
    """The network of a configuration, randomly initialized."""
    return _FAMILIES[type(config)][1](config)


def family_name(config: NetworkConfig) -> str:
    """As the card's `family`."""
    return _FAMILIES[type(config)][0]


def number_of_axes(config: NetworkConfig) -> int:
    """3 for networks of volumes, 2 for those of slices."""
    return 3 if isinstance(config, STUNetConfig) else config.dims


def size_divisor(config: NetworkConfig) -> tuple[int, ...]:
    """What the axes of an input must be divisible by, K, J, I for volumes."""
    if isinstance(config, MonaiConfig):  # each has a rule of its own; an import tries the window
        return (1,) * config.dims
    if isinstance(config, MedNeXtConfig):
        return (SIZE_DIVISOR,) * config.dims
    return config.size_divisor_kji if isinstance(config, STUNetConfig) else config.size_divisor
