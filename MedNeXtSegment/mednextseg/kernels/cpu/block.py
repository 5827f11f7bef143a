"""The three blocks of MedNeXt on rows; same results as networks/mednext.py, same names.

    depthwise convolution -> statistics -> [norm folded into the expansion -> GELU -> projection -> add], chunk by chunk

The part in brackets never leaves the cache: the hidden activation, r times as wide as the block, is never stored as a whole.
A block adds its result to an activation that is there already (its own input, the residual branch, the skip connection); only
the output of the depthwise convolution is allocated.
"""

import torch
from torch import Tensor

from mednextseg.kernels.cpu.depthwise import Depthwise, TransposedDepthwise
from mednextseg.kernels.cpu.pointwise import linear, linear_gelu
from mednextseg.kernels.cpu.rows import Rows, chunks, plane_chunks
from mednextseg.kernels.cpu.statistics import channel_statistics
from mednextseg.networks.mednext import MedNeXtBlock, MedNeXtDownBlock, MedNeXtUpBlock

# In standard deviations of the channel. The rounding of the fold grows with it: at 16, four of the 24 bits.
LARGEST_FOLDED_MEAN = 16.0


class NormalizedMlp:
    """Norm, expansion and projection of a block.

    The norm is affine once its statistics are known: with s = gamma / sqrt(variance + eps),
    W (s * (x - mean) + beta) + b = (W diag(s)) x + (W beta + b) - (W diag(s)) mean.
    """

    def __init__(self, block: MedNeXtBlock, dtype: torch.dtype) -> None:
        self.dtype, self.eps = dtype, block.norm.eps
        self.gamma = block.norm.weight.detach().double()
        expand = block.conv2.weight.detach().flatten(1).double()  # (hidden, C)
        beta, bias = block.norm.bias.detach().double(), block.conv2.bias.detach().double()
        self.expand_weight = expand.float()
        self.expand_offset = (expand @ beta + bias).float()
        self.project_weight = block.conv3.weight.detach().flatten(1).to(dtype, copy=True)  # (C_out, hidden)
        self.project_bias = block.conv3.bias.detach().to(torch.float32, copy=True)

    @property
    def hidden(self) -> int:
        return self.expand_weight.shape[0]

    def normalize(self, parts: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Fold the norm of the rows of all parts (V_p, C) together; see `fold`.

        Where a channel hardly varies (windows of air), W diag(s) x and W diag(s) mean are large and nearly equal, and their
        difference would lose what single precision can hold. There the mean is subtracted from the rows, in place, and measured
        again.
        """
        mean, variance = channel_statistics(parts)
        if (mean.abs() * torch.rsqrt(variance + self.eps)).max() > LARGEST_FOLDED_MEAN:
            for part in parts:
                part.sub_(mean.to(part.dtype))
            mean, variance = channel_statistics(parts)
        return self.fold(mean, variance)

    def fold(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Weight (hidden, C) and bias (hidden,) of the expansion with the norm of these statistics (C,) inside.

        The bias uses the weight as rounded to the dtype, so that rounding is not multiplied by the mean.
        """
        scale = (self.gamma * torch.rsqrt(variance + self.eps)).float()
        weight = (self.expand_weight * scale).to(self.dtype)
        return weight, torch.addmv(self.expand_offset, weight.float(), mean.float(), alpha=-1)

    def __call__(self, rows: Tensor, weight: Tensor, bias: Tensor, project_bias: Tensor | None = None) -> Tensor:
        """project(gelu(expand(rows))) with the folded weight and bias of the expansion; (V, C) -> (V, C_out)."""
        hidden = linear_gelu(rows, weight, bias)
        return linear(hidden, self.project_weight, self.project_bias if project_bias is None else project_bias)


class Block:
    """MedNeXtBlock: works in place on its input."""

    def __init__(self, block: MedNeXtBlock, dtype: torch.dtype) -> None:
        self.depthwise = Depthwise(block.conv1, dtype)
        self.mlp = NormalizedMlp(block, dtype)
        self.residual = block.residual

    def __call__(self, rows: Rows) -> Rows:
        y = self.depthwise(rows).values
        if not self.residual:
            rows.values.zero_()
        add_mlp(self.mlp, y, rows.values)
        return rows


class DownBlock:
    """MedNeXtDownBlock: leaves its input, the skip connection, as it is."""

    def __init__(self, block: MedNeXtDownBlock, dtype: torch.dtype) -> None:
        self.depthwise = Depthwise(block.conv1, dtype)
        self.mlp = NormalizedMlp(block, dtype)
        self.residual = Shortcut(block.res_conv.weight.flatten(1), block.res_conv.bias, dtype) if block.residual else None

    def __call__(self, rows: Rows) -> Rows:
        y = self.depthwise(rows)
        if self.residual is None:
            out = torch.zeros(y.values.shape[0], self.mlp.project_weight.shape[0], dtype=y.values.dtype)
        else:
            out = self.residual(Rows.from_volume(rows.volume[:, :, ::2, ::2, ::2]).values)
        add_mlp(self.mlp, y.values, out)
        return Rows(out, y.grid_kji)


class UpBlock:
    """MedNeXtUpBlock and the addition of the skip connection: adds to the skip, phase by phase of the transposed convolution.

    Output voxel o of the block lies at o + 1 of the skip (one zero plane in front of every axis); index 0 keeps the skip alone.
    The strided 1x1 residual reaches the even outputs only, that is phase (0, 0, 0); elsewhere it is its bias.
    """

    def __init__(self, block: MedNeXtUpBlock, dtype: torch.dtype) -> None:
        self.depthwise = TransposedDepthwise(block.conv1, dtype)
        self.mlp = NormalizedMlp(block, dtype)
        self.residual = None
        self.bias = self.mlp.project_bias
        if block.residual:
            self.residual = Shortcut(block.res_conv.weight.flatten(1).t(), torch.zeros_like(block.res_conv.bias), dtype)
            self.bias = self.bias + block.res_conv.bias.detach().float()

    def __call__(self, rows: Rows, skip: Rows) -> Rows:
        phases = self.depthwise(rows)
        folded = self.mlp.normalize([phase.values for phase in phases.values()])
        target = skip.volume
        for (k, j, i), phase in phases.items():
            interleaved = target[:, :, 1 + k :: 2, 1 + j :: 2, 1 + i :: 2]
            for planes, voxels in plane_chunks(phase.grid_kji, self.mlp.hidden):
                part = self.mlp(phase.values[voxels], *folded, self.bias)
                if self.residual is not None and (k, j, i) == (0, 0, 0):
                    part.add_(self.residual(rows.values[voxels]))
                grid = (planes.stop - planes.start, *phase.grid_kji[1:])
                interleaved[:, :, planes].add_(Rows(part, grid).volume)
        return skip


class Shortcut:
    """The 1x1 convolution of a residual branch; weight (C_out, C_in)."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype, copy=True).contiguous()
        self.bias = bias.detach().to(torch.float32, copy=True)

    def __call__(self, rows: Tensor) -> Tensor:
        return linear(rows, self.weight, self.bias)


def add_mlp(mlp: NormalizedMlp, rows: Tensor, target: Tensor) -> None:
    """target += mlp(rows), normalized by the statistics of these rows; (V, C) and (V, C_out). May shift the rows."""
    folded = mlp.normalize([rows])
    for voxels in chunks(rows.shape[0], mlp.hidden):
        target[voxels].add_(mlp(rows[voxels], *folded))
