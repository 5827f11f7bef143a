"""The architecture of nnU-Net v1's Generic_UNet from its tensors, which show all of it but the activation."""

from collections.abc import Mapping

from torch import Tensor

from mednextseg.networks.generic_unet import GenericUNetConfig

_CONTEXT, _LOCALIZATION = "conv_blocks_context", "conv_blocks_localization"


def is_generic_unet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a Generic_UNet that pools and enlarges by convolutions, as trainer V2 builds it."""
    return f"{_CONTEXT}.0.blocks.0.conv.weight" in tensors and "tu.0.weight" in tensors


def generic_unet_config_of(tensors: Mapping[str, Tensor]) -> GenericUNetConfig:
    """Channels, widths, kernels and strides by shapes, depths by counting.

    Raises:
        ValueError: where a stage is missing.
    """
    steps = _count(tensors, "tu.{}.weight")
    stages = [f"{_CONTEXT}.{stage}" for stage in range(steps)]
    first = [_shape(tensors, f"{stage}.blocks.0.conv.weight") for stage in stages]
    bottom = _shape(tensors, f"{_CONTEXT}.{steps}.0.blocks.0.conv.weight")
    up = [_shape(tensors, f"{_LOCALIZATION}.{step}.0.blocks.0.conv.weight") for step in range(steps)]
    strides = [_shape(tensors, f"tu.{step}.weight")[2:] for step in reversed(range(steps))]
    bias = f"{stages[0]}.blocks.0.conv.bias" in tensors
    return GenericUNetConfig(
        in_channels=first[0][1],
        num_classes=_shape(tensors, f"seg_outputs.{steps - 1}.weight")[0],
        widths=(*(shape[0] for shape in first), bottom[0]),
        kernel_sizes=(*(shape[2:] for shape in first), bottom[2:]),
        strides=((1,) * len(strides[0]), *strides),
        encoder_depths=(
            *(_count(tensors, f"{stage}.blocks.{{}}.conv.weight") for stage in stages),
            _depth(tensors, f"{_CONTEXT}.{steps}"),
        ),
        decoder_depths=tuple(_depth(tensors, f"{_LOCALIZATION}.{step}") for step in range(steps)),
        conv_bias=bias,
        decoder_kernel_sizes=tuple(shape[2:] for shape in up),
    )


def _depth(tensors: Mapping[str, Tensor], stage: str) -> int:
    """Convolutions of a stage whose last one stands apart."""
    return _count(tensors, f"{stage}.0.blocks.{{}}.conv.weight") + 1


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    count = 0
    while pattern.format(count) in tensors:
        count += 1
    return count


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise ValueError(f"the weights lack {name}; the file is not whole or is another network's.")
    return tuple(tensors[name].shape)
