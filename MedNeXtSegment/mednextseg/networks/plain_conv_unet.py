"""PlainConvUNet: the U-Net that nnU-Net configures for a data set.

Paper: Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation", Nature Methods 18,
2021 (arXiv:1904.08128), section "Network architecture" of the methods. The tensor names are those of nnU-Net v2's networks (the
package dynamic-network-architectures 0.4, Apache-2.0) without the second names that its checkpoints keep for the same tensors. The
code is our own.

    [encoder stage] x n -> [transposed convolution + concatenate the skip -> decoder stage] x (n - 1) -> seg_layers

A stage is some convolutions, each with instance norm and activation; the first one of an encoder stage carries its stride. Depth, widths,
kernels and strides are free for every stage and axis, so one code serves isotropic and anisotropic volumes and single slices.
"""

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, ...]


@dataclass(frozen=True)
class UNetConfig:
    """Everything that determines a U-Net of nnU-Net v2. Stages are counted from the finest to the coarsest.

    Attributes:
        in_channels, num_classes: image channels; output channels, background included.
        widths: channels of each stage.
        kernel_sizes: of each stage's convolutions, along K, J, I (along rows and columns for slices).
        strides: into each stage, along the same axes; 1 for the first stage.
        encoder_depths: convolutions (PlainConvUNet) or residual blocks (ResidualEncoderUNet) of each stage.
        decoder_depths: convolutions of each decoder stage, coarsest first; one fewer than stages.
        conv_bias: whether convolutions have a bias.
        norm_eps, norm_affine: of the instance norms.
        negative_slope: of the activation; 0.01 is nnU-Net's LeakyReLU, 0 a ReLU.
    """

    in_channels: int
    num_classes: int
    widths: tuple[int, ...]
    kernel_sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    encoder_depths: tuple[int, ...]
    decoder_depths: tuple[int, ...]
    conv_bias: bool = True
    norm_eps: float = 1e-5
    norm_affine: bool = True
    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        stages = len(self.widths)
        if stages < 2:
            raise ValueError(f"a U-Net has two or more stages, got {stages}.")
        lengths = {"kernel_sizes": stages, "strides": stages, "encoder_depths": stages, "decoder_depths": stages - 1}
        for name, length in lengths.items():
            if len(getattr(self, name)) != length:
                raise ValueError(f"a U-Net of {stages} stages needs {length} {name}, got {len(getattr(self, name))}.")
        if self.dims not in (2, 3) or any(len(size) != self.dims for size in (*self.kernel_sizes, *self.strides)):
            raise ValueError("a U-Net's kernel_sizes and strides need 2 or 3 numbers each, in every stage as many.")
        if any(k % 2 == 0 for size in self.kernel_sizes for k in size):
            raise ValueError(f"a U-Net needs odd kernel sizes such as 3, got {self.kernel_sizes}.")
        if any(stride != 1 for stride in self.strides[0]):
            raise ValueError(
                f"the first stage of a U-Net must keep the grid, but its stride is {self.strides[0]}; only 1 is known."
            )

    @property
    def dims(self) -> int:
        """3 for volumes (N, C, K, J, I), 2 for slices (N, C, rows, columns)."""
        return len(self.kernel_sizes[0])

    @property
    def size_divisor(self) -> Size:
        """What the axes of an input must be divisible by."""
        return tuple(prod(axis) for axis in zip(*self.strides, strict=True))


class PlainConvUNetConfig(UNetConfig):
    """Of a PlainConvUNet."""


class ConvBlock(nn.Module):
    """Convolution -> instance norm -> activation (which may be left out)."""

    def __init__(
        self, config: UNetConfig, in_channels: int, channels: int, kernel: Size, stride: Size | int = 1, activated: bool = True
    ) -> None:
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.conv = conv_class(config)(in_channels, channels, kernel, stride, padding, bias=config.conv_bias)
        norm = nn.InstanceNorm2d if config.dims == 2 else nn.InstanceNorm3d
        self.norm = norm(channels, eps=config.norm_eps, affine=config.norm_affine)
        self.negative_slope = config.negative_slope if activated else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if self.negative_slope is None else F.leaky_relu(x, self.negative_slope, inplace=True)


class StackedConvs(nn.Module):
    """Some convolutions of one width; the first carries the stride."""

    def __init__(
        self, config: UNetConfig, in_channels: int, channels: int, kernel: Size, depth: int, stride: Size | int = 1
    ) -> None:
        super().__init__()
        first = ConvBlock(config, in_channels, channels, kernel, stride)
        self.convs = nn.Sequential(first, *(ConvBlock(config, channels, channels, kernel) for _ in range(depth - 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class PlainConvEncoder(nn.Module):
    """Stacked convolutions in every stage; yields the features of all stages, finest first."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        stages, incoming = [], (config.in_channels, *config.widths)
        for s, width in enumerate(config.widths):
            kernel, stride, depth = config.kernel_sizes[s], config.strides[s], config.encoder_depths[s]
            stages.append(nn.Sequential(StackedConvs(config, incoming[s], width, kernel, depth, stride)))
        self.stages = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class UNetDecoder(nn.Module):
    """From the coarsest features back to the full grid. There is a head for every stage, whether its output is asked for or not."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d if config.dims == 2 else nn.ConvTranspose3d
        widths, strides, kernels = config.widths, config.strides, config.kernel_sizes
        arrivals = range(len(widths) - 2, -1, -1)  # the stage each step arrives at, coarsest first
        self.transpconvs = nn.ModuleList(
            transposed(widths[s + 1], widths[s], strides[s + 1], strides[s + 1], bias=config.conv_bias) for s in arrivals
        )
        self.stages = nn.ModuleList(
            StackedConvs(config, 2 * widths[s], widths[s], kernels[s], depth)
            for s, depth in zip(arrivals, config.decoder_depths, strict=True)
        )
        self.seg_layers = nn.ModuleList(conv_class(config)(widths[s], config.num_classes, 1) for s in arrivals)

    def forward(self, features: list[Tensor], deep_supervision: bool) -> Tensor | list[Tensor]:
        x, skips, outputs = features.pop(), features, []
        for enlarge, stage, head in zip(self.transpconvs, self.stages, self.seg_layers, strict=True):
            x = stage(torch.cat([enlarge(x), skips.pop()], dim=1))
            if deep_supervision:
                outputs.insert(0, head(x))
        return outputs if deep_supervision else self.seg_layers[-1](x)


class PlainConvUNet(nn.Module):
    """The network. Input (N, in_channels, K, J, I) or (N, in_channels, rows, columns), each axis divisible by its strides' product.

    Attributes:
        config: what was built.
        deep_supervision: return the list of all decoder stages' outputs, full size first, instead of the full-size logits.
    """

    encoder_class: type[nn.Module] = PlainConvEncoder

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.deep_supervision = False
        self.encoder = self.encoder_class(config)
        self.decoder = UNetDecoder(config)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_input(x, self.config)
        return self.decoder(self.encoder(x), self.deep_supervision)


def conv_class(config: UNetConfig) -> type[nn.Module]:
    """The convolution for the network's number of axes."""
    return nn.Conv2d if config.dims == 2 else nn.Conv3d


def check_input(x: Tensor, config: UNetConfig) -> None:
    """Refuse an input that the network cannot take.

    Raises:
        ValueError: naming the shape that is needed.
    """
    divisor, axes = config.size_divisor, "rows, columns" if config.dims == 2 else "K, J, I"
    fits = x.ndim == config.dims + 2 and x.shape[1] == config.in_channels
    if not fits or any(n % d for n, d in zip(x.shape[2:], divisor, strict=True)):
        raise ValueError(
            f"this U-Net needs (batch, {config.in_channels}, {axes}) with axes divisible by {divisor}, got {tuple(x.shape)}."
        )
