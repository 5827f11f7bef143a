"""MedNeXt, a fully ConvNeXt encoder-decoder for volumes and slices.

Paper: Roy et al., "MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation", MICCAI 2023
(arXiv:2303.09975), section 2 and figure 1; global response normalization: Woo et al., "ConvNeXt V2", CVPR 2023, equations 1-3.
The tensor names are those of the official implementation (MIC-DKFZ/MedNeXt, Apache-2.0), so that its checkpoints load strictly.
The code is our own.

    stem -> [enc_block_i -> down_i] x 4 -> bottleneck -> [up_i + skip -> dec_block_i] x 4 -> out_0

Every level doubles the channels and halves the grid, skips are added (not concatenated), and each voxel axis of the input must be
divisible by 16.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mednextseg.networks.plug_ins import PlugInConfig, build_plug_ins
from mednextseg.networks.plug_ins.plug_in import Sites

LEVELS = 4
SIZE_DIVISOR = 2**LEVELS
_SYMMETRIC_B = (2, 3, 4, 4, 4, 4, 4, 3, 2)
_SYMMETRIC_L = (3, 4, 8, 8, 8, 8, 8, 4, 3)


@dataclass(frozen=True)
class MedNeXtConfig:
    """Everything that determines the tensors of a MedNeXt.

    Stages are counted along the data flow: 0-3 encoder, 4 bottleneck, 5-8 decoder (5 is the coarsest).
    `down_ratios[i]` is the expansion of down block i: officially that of stage i + 1 (also where none are given); MONAI's MedNeXt uses
    that of stage i.
    `plug_ins` stand between the stages and are no part of the paper's network.
    """

    in_channels: int
    num_classes: int
    kernel_size: int = 3
    expansion_ratios: tuple[int, ...] = (2,) * 9
    block_counts: tuple[int, ...] = (2,) * 9
    down_ratios: tuple[int, ...] = ()
    base_channels: int = 32
    deep_supervision: bool = False
    dims: int = 3
    global_response_norm: bool = False
    block_residual: bool = True
    resampling_residual: bool = True
    plug_ins: tuple[PlugInConfig, ...] = ()

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ValueError(f"MedNeXt has 2 or 3 dimensions, got {self.dims}.")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"MedNeXt needs an odd kernel size such as 3 or 5, got {self.kernel_size}.")
        if len(self.expansion_ratios) != 9 or len(self.block_counts) != 9:
            raise ValueError("MedNeXt has 9 stages: give 9 expansion ratios and 9 block counts.")
        if not self.down_ratios:
            object.__setattr__(self, "down_ratios", tuple(self.expansion_ratios[1:5]))


VARIANTS: dict[str, dict[str, Any]] = {
    "S": {"expansion_ratios": (2,) * 9, "block_counts": (2,) * 9},
    "B": {"expansion_ratios": _SYMMETRIC_B, "block_counts": (2,) * 9},
    "M": {"expansion_ratios": _SYMMETRIC_B, "block_counts": (3, 4, 4, 4, 4, 4, 4, 4, 3)},
    "L": {"expansion_ratios": _SYMMETRIC_L, "block_counts": _SYMMETRIC_L},
}


def build_mednext(
    variant: str,
    kernel_size: int,
    in_channels: int,
    num_classes: int,
    deep_supervision: bool = False,
    dims: int = 3,
) -> "MedNeXt":
    """Build one of the paper's four networks (table 1 of the paper), randomly initialized.

    Args:
        variant: "S", "B", "M" or "L".
        kernel_size: edge of the depthwise kernels, 3 or 5 in the paper; any odd number works.
        in_channels: image channels.
        num_classes: output channels, background included.
        deep_supervision: return five outputs (full size first, then 1/2 .. 1/16) instead of one.
        dims: 3 for volumes (N, C, K, J, I), 2 for slices (N, C, rows, columns).
    Raises:
        ValueError: for a variant that does not exist.
    """
    config = variant_config(variant, in_channels, num_classes, kernel_size=kernel_size)
    return MedNeXt(replace(config, deep_supervision=deep_supervision, dims=dims))


def variant_config(variant: str, in_channels: int, num_classes: int, **changes: Any) -> MedNeXtConfig:
    """The configuration of one of the paper's four networks; `changes` are the fields in which it shall differ from the paper's.

    Raises:
        ValueError: for a variant that does not exist.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown MedNeXt variant {variant!r}; choose one of {', '.join(VARIANTS)}.")
    return MedNeXtConfig(in_channels, num_classes, **{**VARIANTS[variant], **changes})


class GlobalResponseNorm(nn.Module):
    """Response of each channel relative to the mean response: x * (gamma * ||x_c|| / mean_c ||x_c||) + beta + x."""

    eps = 1e-6

    def forward(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        response = torch.linalg.vector_norm(x, dim=tuple(range(2, x.ndim)), keepdim=True)  # (N, C, 1, 1, 1)
        relative = response / (response.mean(dim=1, keepdim=True) + self.eps)
        return gamma * (x * relative) + beta + x


class MedNeXtBlock(nn.Module):
    """Depthwise convolution -> channel-wise norm -> expand 1x1 -> GELU -> project 1x1, plus the input (figure 1a).

    The norm is GroupNorm with one group a channel (instance norm with an affine part); the GELU is the exact, erf-based one.
    """

    def __init__(self, config: MedNeXtConfig, channels: int, ratio: int, out_channels: int | None = None) -> None:
        super().__init__()
        conv, hidden = _conv(config), channels * ratio
        self.residual = config.block_residual
        self.conv1 = self.depthwise(config, channels)
        self.norm = nn.GroupNorm(channels, channels)
        self.conv2 = conv(channels, hidden, 1)
        self.conv3 = conv(hidden, out_channels or channels, 1)
        self.grn = GlobalResponseNorm() if config.global_response_norm else None
        if self.grn is not None:
            shape = (1, hidden) + (1,) * config.dims
            self.grn_beta = nn.Parameter(torch.zeros(shape))
            self.grn_gamma = nn.Parameter(torch.zeros(shape))

    def depthwise(self, config: MedNeXtConfig, channels: int) -> nn.Module:
        k = config.kernel_size
        return _conv(config)(channels, channels, k, padding=k // 2, groups=channels)

    def transform(self, x: Tensor) -> Tensor:
        """The block without its residual branch."""
        x = F.gelu(self.conv2(self.norm(self.conv1(x))))
        if self.grn is not None:
            x = self.grn(x, self.grn_gamma, self.grn_beta)
        return self.conv3(x)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.transform(x) if self.residual else self.transform(x)


class MedNeXtDownBlock(MedNeXtBlock):
    """The block with a stride of 2 and twice the channels; a strided 1x1 convolution is its residual branch (figure 1b)."""

    def __init__(self, config: MedNeXtConfig, channels: int, ratio: int) -> None:
        super().__init__(config, channels, ratio, 2 * channels)
        self.residual = config.resampling_residual
        if self.residual:
            self.res_conv = _conv(config)(channels, 2 * channels, 1, stride=2)

    def depthwise(self, config: MedNeXtConfig, channels: int) -> nn.Module:
        k = config.kernel_size
        return _conv(config)(channels, channels, k, stride=2, padding=k // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.transform(x) + self.res_conv(x) if self.residual else self.transform(x)


class MedNeXtUpBlock(MedNeXtBlock):
    """The block with a transposed stride of 2 and half the channels (figure 1c).

    A transposed convolution of n voxels yields 2n - 1; both branches are then padded with one zero plane in front of every axis.
    The norm sees the 2n - 1 voxels only.
    """

    def __init__(self, config: MedNeXtConfig, channels: int, ratio: int) -> None:
        super().__init__(config, channels, ratio, channels // 2)
        self.residual = config.resampling_residual
        if self.residual:
            self.res_conv = _conv_transpose(config)(channels, channels // 2, 1, stride=2)

    def depthwise(self, config: MedNeXtConfig, channels: int) -> nn.Module:
        k = config.kernel_size
        return _conv_transpose(config)(channels, channels, k, stride=2, padding=k // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        up = self.transform(x)
        if self.residual:
            up = up + self.res_conv(x)
        return F.pad(up, (1, 0) * (x.ndim - 2))


class OutBlock(nn.Module):
    """Class logits by a 1x1 convolution; officially a transposed one, whose weight is (channels, classes, 1, 1, 1)."""

    def __init__(self, config: MedNeXtConfig, channels: int) -> None:
        super().__init__()
        self.conv_out = _conv_transpose(config)(channels, config.num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(x)


class MedNeXt(nn.Module):
    """The network. Input (N, in_channels, K, J, I) float, each axis divisible by 16; output logits of the same grid.

    Attributes:
        config: what was built.
        deep_supervision: return the list [full, 1/2, 1/4, 1/8, 1/16] instead of the full-size logits.
        gradient_checkpointing: recompute each block in the backward pass, for less memory at the price of time.
    """

    def __init__(self, config: MedNeXtConfig) -> None:
        super().__init__()
        self.config = config
        self.deep_supervision = config.deep_supervision
        self.gradient_checkpointing = False
        widths = [config.base_channels * 2**level for level in range(LEVELS + 1)]
        self.stem = _conv(config)(config.in_channels, widths[0], 1)
        for level in range(LEVELS):
            setattr(self, f"enc_block_{level}", _stage(config, widths[level], stage=level))
            setattr(self, f"down_{level}", MedNeXtDownBlock(config, widths[level], config.down_ratios[level]))
        self.bottleneck = _stage(config, widths[LEVELS], stage=LEVELS)
        for level in reversed(range(LEVELS)):
            stage = 2 * LEVELS - level
            setattr(self, f"up_{level}", MedNeXtUpBlock(config, widths[level + 1], config.expansion_ratios[stage]))
            setattr(self, f"dec_block_{level}", _stage(config, widths[level], stage))
        heads = LEVELS + 1 if config.deep_supervision else 1
        for level in range(heads):
            setattr(self, f"out_{level}", OutBlock(config, widths[level]))
        # In every official checkpoint (a device for torch's checkpointing); takes no part in the result.
        self.dummy_tensor = nn.Parameter(torch.tensor([1.0]))
        self.plug_ins = build_plug_ins(config.plug_ins, Sites(config.in_channels, config.num_classes, tuple(widths)))

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        check_input(x, self.config)
        taps = self.plug_ins.begin(x)
        x = self.stem(x)
        skips = []
        for level in range(LEVELS):
            skips.append(taps.after(f"enc_block_{level}", self._run(getattr(self, f"enc_block_{level}"), x)))
            x = self._run(getattr(self, f"down_{level}"), skips[level])
        x = taps.after("bottleneck", self._run(self.bottleneck, x))
        coarse, skips = [x], taps.skips(skips)
        for level in reversed(range(LEVELS)):
            x = self._run(getattr(self, f"up_{level}"), x) + skips[level]
            x = taps.after(f"dec_block_{level}", self._run(getattr(self, f"dec_block_{level}"), x))
            coarse.append(x)
        if not self.deep_supervision:
            return self.out_0(x)
        return [getattr(self, f"out_{level}")(coarse[LEVELS - level]) for level in range(LEVELS + 1)]

    def _run(self, stage: nn.Module, x: Tensor) -> Tensor:
        if not (self.gradient_checkpointing and self.training):
            return stage(x)
        blocks = stage if isinstance(stage, nn.Sequential) else [stage]
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return x


def without_deep_supervision(config: MedNeXtConfig) -> MedNeXtConfig:
    """The same network with its full-size head only, as inference needs it."""
    return replace(config, deep_supervision=False)


def _stage(config: MedNeXtConfig, channels: int, stage: int) -> nn.Sequential:
    ratio = config.expansion_ratios[stage]
    return nn.Sequential(*(MedNeXtBlock(config, channels, ratio) for _ in range(config.block_counts[stage])))


def _conv(config: MedNeXtConfig) -> Callable[..., nn.Module]:
    return nn.Conv3d if config.dims == 3 else nn.Conv2d


def _conv_transpose(config: MedNeXtConfig) -> Callable[..., nn.Module]:
    return nn.ConvTranspose3d if config.dims == 3 else nn.ConvTranspose2d


def check_input(x: Tensor, config: MedNeXtConfig) -> None:
    """Raise ValueError unless x is (N, in_channels, grid) with every axis of the grid divisible by 16."""
    grid = tuple(x.shape[2:])
    if x.ndim != config.dims + 2 or x.shape[1] != config.in_channels or any(n % SIZE_DIVISOR for n in grid):
        raise ValueError(
            f"MedNeXt needs (batch, {config.in_channels}, {config.dims} axes divisible by {SIZE_DIVISOR}), got {tuple(x.shape)}."
        )
