"""Generic_UNet: the U-Net of nnU-Net v1.

Paper: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation", Nature Methods 18,
2021 (arXiv:1904.08128), section "Network architecture" of the methods. The tensor names are those of nnU-Net 1.7 (the package nnunet,
Apache-2.0) as its trainer V2 builds the network. The code is our own.

    [context stage] x n -> [transposed convolution + concatenate the skip -> localization stage] x (n - 1) -> seg_outputs

It differs from nnU-Net v2's PlainConvUNet in the names, in transposed convolutions and heads without bias, and in the kernels on the way
up: a localization stage has those of the context stage below the one it arrives at.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.networks.plain_conv_unet import Size, UNetConfig, check_input, conv_class


@dataclass(frozen=True)
class GenericUNetConfig(UNetConfig):
    """Of a Generic_UNet, as UNetConfig.

    Attributes:
        decoder_kernel_sizes: of the localization stages' convolutions, coarsest first.
    """

    decoder_kernel_sizes: tuple[Size, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.decoder_kernel_sizes) != len(self.widths) - 1:
            raise ValueError(
                f"a U-Net of {len(self.widths)} stages needs {len(self.widths) - 1} decoder_kernel_sizes, got "
                f"{len(self.decoder_kernel_sizes)}."
            )


class ConvNormActivation(nn.Module):
    """Convolution -> instance norm -> LeakyReLU."""

    def __init__(self, config: GenericUNetConfig, in_channels: int, channels: int, kernel: Size, stride: Size | int) -> None:
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.conv = conv_class(config)(in_channels, channels, kernel, stride, padding, bias=config.conv_bias)
        norm = nn.InstanceNorm2d if config.dims == 2 else nn.InstanceNorm3d
        self.instnorm = norm(channels, eps=config.norm_eps, affine=config.norm_affine)
        self.negative_slope = config.negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.instnorm(self.conv(x)), self.negative_slope, inplace=True)


class StackedConvLayers(nn.Module):
    """Some convolutions of one width; the first carries the stride."""

    def __init__(
        self, config: GenericUNetConfig, in_channels: int, channels: int, kernel: Size, depth: int, stride: Size | int = 1
    ) -> None:
        super().__init__()
        incoming, strides = (in_channels, *[channels] * (depth - 1)), (stride, *[1] * (depth - 1))
        self.blocks = nn.Sequential(
            *(ConvNormActivation(config, incoming[n], channels, kernel, strides[n]) for n in range(depth))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class GenericUNet(nn.Module):
    """The network. Input (N, in_channels, K, J, I) or (N, in_channels, rows, columns), each axis divisible by its strides' product.

    Attributes:
        config: what was built.
        deep_supervision: return the list of all localization stages' outputs, full size first, instead of the full-size logits.
    """

    def __init__(self, config: GenericUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.deep_supervision = False
        widths, strides, kernels, depths = config.widths, config.strides, config.kernel_sizes, config.encoder_depths
        incoming, bottom = (config.in_channels, *widths), len(widths) - 1
        context = [StackedConvLayers(config, incoming[s], widths[s], kernels[s], depths[s], strides[s]) for s in range(bottom)]
        # The last convolution of the bottleneck, and of a localization stage, stands apart.
        context.append(
            nn.Sequential(
                StackedConvLayers(
                    config, incoming[bottom], widths[bottom], kernels[bottom], depths[bottom] - 1, strides[bottom]
                ),
                StackedConvLayers(config, widths[bottom], widths[bottom], kernels[bottom], 1),
            )
        )
        self.conv_blocks_context = nn.ModuleList(context)
        arrivals = range(bottom - 1, -1, -1)  # the stage each step arrives at, coarsest first
        transposed = nn.ConvTranspose2d if config.dims == 2 else nn.ConvTranspose3d
        self.tu = nn.ModuleList(
            transposed(widths[s + 1], widths[s], strides[s + 1], strides[s + 1], bias=False) for s in arrivals
        )
        self.conv_blocks_localization = nn.ModuleList(
            nn.Sequential(
                StackedConvLayers(config, 2 * widths[s], widths[s], kernel, depth - 1),
                StackedConvLayers(config, widths[s], widths[s], kernel, 1),
            )
            for s, kernel, depth in zip(arrivals, config.decoder_kernel_sizes, config.decoder_depths, strict=True)
        )
        self.seg_outputs = nn.ModuleList(conv_class(config)(widths[s], config.num_classes, 1, bias=False) for s in arrivals)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_input(x, self.config)
        skips: list[Tensor] = []
        for stage in self.conv_blocks_context:
            x = stage(x)
            skips.append(x)
        skips.pop()
        outputs: list[Tensor] = []
        for enlarge, stage, head in zip(self.tu, self.conv_blocks_localization, self.seg_outputs, strict=True):
            x = stage(torch.cat([enlarge(x), skips.pop()], dim=1))
            if self.deep_supervision:
                outputs.insert(0, head(x))
        return outputs if self.deep_supervision else self.seg_outputs[-1](x)
