"""STU-Net, a scalable residual U-Net pre-trained on the 104 structures of TotalSegmentator.

Paper: Huang et al., "STU-Net: Scalable and Transferable Medical Image Segmentation Models Empowered by Large-Scale Supervised
Pre-training", 2023 (arXiv:2304.06716), section 3 and table 1. The tensor names are those of the official implementation, so that its
checkpoints load strictly. The code is our own.

    [context block stage] x 6 -> [upsample 1x1x1 + concatenate the skip -> localization block stage] x 5 -> seg_outputs

Every stage after the first halves the axes that its pooling size names; its first block does so by the stride of its convolutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STAGES = 6
Size3 = tuple[int, int, int]
# Depth of every stage and width of the stages (table 1 of the paper).
SIZES: dict[str, tuple[int, tuple[int, ...]]] = {
    "S": (1, (16, 32, 64, 128, 256, 256)),
    "B": (1, (32, 64, 128, 256, 512, 512)),
    "L": (2, (64, 128, 256, 512, 1024, 1024)),
    "H": (3, (96, 192, 384, 768, 1536, 1536)),
}


@dataclass(frozen=True)
class STUNetConfig:
    """Everything that determines a STU-Net; all but the pooling sizes can be read off its tensors.

    Attributes:
        in_channels, num_classes: image channels; output channels, background included.
        depths, widths: blocks and channels of each stage; the decoder repeats them from below.
        pool_sizes_kji: stride along K, J, I into each stage after the first.
        kernel_sizes_kji: of each stage's convolutions.
    """

    in_channels: int
    num_classes: int
    depths: tuple[int, ...] = (1,) * STAGES
    widths: tuple[int, ...] = SIZES["B"][1]
    pool_sizes_kji: tuple[Size3, ...] = ((2, 2, 2),) * (STAGES - 1)
    kernel_sizes_kji: tuple[Size3, ...] = ((3, 3, 3),) * STAGES

    def __post_init__(self) -> None:
        lengths = {"depths": STAGES, "widths": STAGES, "pool_sizes_kji": STAGES - 1, "kernel_sizes_kji": STAGES}
        for name, length in lengths.items():
            if len(getattr(self, name)) != length:
                raise ValueError(f"STU-Net has {STAGES} stages: give {length} {name}, got {len(getattr(self, name))}.")

    @property
    def size_divisor_kji(self) -> Size3:
        """What the axes of an input must be divisible by."""
        k, j, i = (int(torch.tensor(axis).prod()) for axis in zip(*self.pool_sizes_kji, strict=True))
        return k, j, i


def build_stu_net(
    size: str,
    in_channels: int,
    num_classes: int,
    deep_supervision: bool = False,
    pool_sizes_kji: Sequence[Sequence[int]] = ((2, 2, 2),) * (STAGES - 1),
) -> "STUNet":
    """Build one of the paper's four networks, randomly initialized.

    Args:
        size: "S", "B", "L" or "H".
        in_channels: image channels.
        num_classes: output channels, background included (105 in the published weights).
        deep_supervision: return five outputs (full size first) instead of one; the five heads exist in any case.
        pool_sizes_kji: strides between the stages; the published weights have ((2, 2, 2),) * 4 + ((1, 1, 2),).
    Raises:
        ValueError: for a size that does not exist.
    """
    if size not in SIZES:
        raise ValueError(f"unknown STU-Net size {size!r}; choose one of {', '.join(SIZES)}.")
    depth, widths = SIZES[size]
    pools = tuple(tuple(pool) for pool in pool_sizes_kji)
    network = STUNet(STUNetConfig(in_channels, num_classes, (depth,) * STAGES, widths, pools))
    network.deep_supervision = deep_supervision
    return network


class ResidualBlock(nn.Module):
    """Two convolutions with instance norm, plus the input; the first block of a stage brings the input to shape by a 1x1x1 one."""

    def __init__(self, in_channels: int, channels: int, kernel_kji: Size3, stride_kji: Size3, project: bool) -> None:
        super().__init__()
        padding = tuple(k // 2 for k in kernel_kji)
        self.conv1 = nn.Conv3d(in_channels, channels, kernel_kji, stride_kji, padding)
        self.norm1 = nn.InstanceNorm3d(channels, affine=True)
        self.conv2 = nn.Conv3d(channels, channels, kernel_kji, padding=padding)
        self.norm2 = nn.InstanceNorm3d(channels, affine=True)
        self.conv3 = nn.Conv3d(in_channels, channels, 1, stride_kji) if project else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.norm1(self.conv1(x)), 0.01)
        y = self.norm2(self.conv2(y))
        return F.leaky_relu(y + (x if self.conv3 is None else self.conv3(x)), 0.01)


class UpsampleLayer(nn.Module):
    """Nearest-neighbor enlargement, then a 1x1x1 convolution."""

    def __init__(self, in_channels: int, channels: int, scale_kji: Size3) -> None:
        super().__init__()
        self.scale = tuple(float(s) for s in scale_kji)
        self.conv = nn.Conv3d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=self.scale, mode="nearest"))


class STUNet(nn.Module):
    """The network. Input (N, in_channels, K, J, I) float, each axis divisible by the product of its pooling sizes.

    Attributes:
        config: what was built.
        deep_supervision: return the list of five outputs, full size first, instead of the full-size logits.
    """

    def __init__(self, config: STUNetConfig) -> None:
        super().__init__()
        self.config = config
        self.deep_supervision = False
        widths, kernels, depths, pools = config.widths, config.kernel_sizes_kji, config.depths, config.pool_sizes_kji
        strides = ((1, 1, 1), *pools)
        incoming = (config.in_channels, *widths)
        self.conv_blocks_context = nn.ModuleList(
            _stage(incoming[s], widths[s], kernels[s], strides[s], depths[s]) for s in range(STAGES)
        )
        finer = range(STAGES - 2, -1, -1)  # the stage each decoder step arrives at, deepest first
        self.upsample_layers = nn.ModuleList(UpsampleLayer(widths[s + 1], widths[s], pools[s]) for s in finer)
        self.conv_blocks_localization = nn.ModuleList(
            _stage(2 * widths[s], widths[s], kernels[s], (1, 1, 1), depths[s]) for s in finer
        )
        self.seg_outputs = nn.ModuleList(nn.Conv3d(widths[s], config.num_classes, 1) for s in finer)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        _check_input(x, self.config)
        skips = []
        for stage in self.conv_blocks_context[:-1]:
            x = stage(x)
            skips.append(x)
        x = self.conv_blocks_context[-1](x)
        outputs = []
        for upsample, stage, head in zip(self.upsample_layers, self.conv_blocks_localization, self.seg_outputs, strict=True):
            x = stage(torch.cat([upsample(x), skips.pop()], dim=1))
            if self.deep_supervision:
                outputs.insert(0, head(x))
        return outputs if self.deep_supervision else self.seg_outputs[-1](x)


def _stage(in_channels: int, channels: int, kernel_kji: Size3, stride_kji: Size3, depth: int) -> nn.Sequential:
    blocks = [ResidualBlock(in_channels, channels, kernel_kji, stride_kji, project=True)]
    blocks += [ResidualBlock(channels, channels, kernel_kji, (1, 1, 1), project=False) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _check_input(x: Tensor, config: STUNetConfig) -> None:
    divisor = config.size_divisor_kji
    if x.ndim != 5 or x.shape[1] != config.in_channels or any(n % d for n, d in zip(x.shape[2:], divisor, strict=True)):
        raise ValueError(
            f"this STU-Net needs (batch, {config.in_channels}, K, J, I) with axes divisible by {divisor}, got {tuple(x.shape)}."
        )
