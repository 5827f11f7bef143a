"""ResidualEncoderUNet: nnU-Net's U-Net with residual blocks in the encoder (the ResEnc presets M, L and XL).

Paper: Isensee et al., "nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image Segmentation", MICCAI 2024
(arXiv:2404.09556), section 3; residual blocks of the kind D: He et al., "Bag of Tricks for Image Classification with Convolutional Neural
Networks", CVPR 2019, figure 2c. The tensor names are those of the package dynamic-network-architectures 0.4. The code is our own.

    stem -> [residual stage] x n -> [transposed convolution + concatenate the skip -> decoder stage] x (n - 1) -> seg_layers

The decoder is that of PlainConvUNet. The presets M, L and XL are one architecture: 1, 3, 4, 6, 6, ... blocks, one convolution in each
decoder stage; they differ in patch and batch, and so in the number of stages.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.networks.plain_conv_unet import ConvBlock, PlainConvUNet, Size, StackedConvs, UNetConfig, conv_class


class ResidualEncoderUNetConfig(UNetConfig):
    """Of a ResidualEncoderUNet."""


class Projection(nn.Module):
    """1x1 convolution without bias and its norm: brings a block's input to the width of its output."""

    def __init__(self, config: UNetConfig, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = conv_class(config)(in_channels, channels, 1, bias=False)
        norm = nn.InstanceNorm2d if config.dims == 2 else nn.InstanceNorm3d
        self.norm = norm(channels, eps=config.norm_eps, affine=config.norm_affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class ResidualBlock(nn.Module):
    """Two convolutions plus the input, which is averaged where the block has a stride and projected where its width changes."""

    def __init__(self, config: UNetConfig, in_channels: int, channels: int, kernel: Size, stride: Size) -> None:
        super().__init__()
        self.conv1 = ConvBlock(config, in_channels, channels, kernel, stride)
        self.conv2 = ConvBlock(config, channels, channels, kernel, activated=False)
        self.negative_slope = config.negative_slope
        skip: list[nn.Module] = []
        if any(s != 1 for s in stride):
            skip.append((nn.AvgPool2d if config.dims == 2 else nn.AvgPool3d)(stride, stride))
        if in_channels != channels:
            skip.append(Projection(config, in_channels, channels))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv2(self.conv1(x)) + self.skip(x), self.negative_slope, inplace=True)


class ResidualStage(nn.Module):
    """Some residual blocks of one width; the first carries the stride."""

    def __init__(self, config: UNetConfig, in_channels: int, stage: int) -> None:
        super().__init__()
        width, kernel, rest = config.widths[stage], config.kernel_sizes[stage], (1,) * config.dims
        first = ResidualBlock(config, in_channels, width, kernel, config.strides[stage])
        further = range(config.encoder_depths[stage] - 1)
        self.blocks = nn.Sequential(first, *(ResidualBlock(config, width, width, kernel, rest) for _ in further))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class ResidualEncoder(nn.Module):
    """A convolution as stem, then residual stages; yields the features of all stages, finest first."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem = StackedConvs(config, config.in_channels, widths[0], config.kernel_sizes[0], depth=1)
        incoming = (widths[0], *widths)
        self.stages = nn.Sequential(*(ResidualStage(config, incoming[s], s) for s in range(len(widths))))

    def forward(self, x: Tensor) -> list[Tensor]:
        x, features = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class ResidualEncoderUNet(PlainConvUNet):
    """The network; inputs, outputs and attributes are those of PlainConvUNet."""

    encoder_class = ResidualEncoder
