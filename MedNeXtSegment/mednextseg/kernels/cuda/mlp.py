"""Norm, expansion, GELU, projection and residual of a block in one Triton kernel, for narrow blocks.

A program takes some rows through the whole chain. The expanded activation, r times as wide as the block, exists only in
registers: a few of its columns are computed, activated, multiplied by their part of the projection, and forgotten.
Wider blocks have few rows and large weights; products.py serves them.
"""

# Constants of the compiler are in capitals, as in Triton's own code.
# ruff: noqa: N803

import torch
import triton
import triton.language as tl
from torch import Tensor

from mednextseg.kernels.cuda.addresses import gelu, normalized, row_addresses
from mednextseg.kernels.cuda.rows import BatchRows, Residual
from mednextseg.kernels.cuda.weights import PRECISION, BlockWeights

# Channels in or out. What fits into the 99 KB of shared memory that every supported card has.
WIDEST_FUSED = {torch.float16: 128, torch.bfloat16: 128, torch.float32: 64}


def fused_mlp(
    y: BatchRows, normalization: Tensor, weights: BlockWeights, residual: Residual, response: Tensor | None = None
) -> None:
    """residual.target = project(gelu(expand(norm(y)))) + shortcut (+ residual.target).

    Args:
        y: output of the depthwise convolution, (N, rows, C). normalization: (N, 3, C), see statistics.py.
        response: (N, hidden) float32 factors of the hidden channels, for global response norm.
    """
    samples, rows, channels = y.values.shape
    padded_in, padded_out = weights.expand.shape[0], weights.project.shape[1]
    block_rows, block_hidden = _tile(y.values.dtype, padded_in, weights.expand.shape[1])
    _fused_kernel[triton.cdiv(rows, block_rows), samples](
        y.values,
        normalization,
        weights.expand,
        weights.expand_bias,
        weights.project,
        weights.project_bias,
        normalization if response is None else response,
        residual.source.values,
        weights.project if weights.shortcut is None else weights.shortcut,
        residual.target.values,
        rows,
        residual.source.values.shape[1],
        residual.target.values.shape[1],
        *y.grid_kji,
        *residual.source.grid_kji[1:],
        CHANNELS=channels,
        OUT_CHANNELS=residual.target.values.shape[2],
        PADDED_IN=padded_in,
        PADDED_OUT=padded_out,
        HIDDEN=weights.expand.shape[1],
        BLOCK_ROWS=block_rows,
        BLOCK_HIDDEN=block_hidden,
        RESAMPLE=residual.resample,
        RESPONSE=response is not None,
        SHORTCUT=weights.shortcut is not None,
        ADD_TARGET=residual.add_target,
        PRECISION=PRECISION,
        num_warps=8 if padded_out >= 64 else 4,
        num_stages=2,
    )


def _tile(dtype: torch.dtype, padded_in: int, hidden: int) -> tuple[int, int]:
    """Rows and hidden columns of a program."""
    if dtype == torch.float32:
        return 64, 32
    return 128, 64 if hidden % 64 == 0 and padded_in > 32 else 32


@triton.jit
def _fused_kernel(
    y, normalization, expand, expand_bias, project, project_bias, response, source, shortcut, target,
    rows, source_rows, target_rows, grid_k, grid_j, grid_i, source_j, source_i,
    CHANNELS: tl.constexpr, OUT_CHANNELS: tl.constexpr, PADDED_IN: tl.constexpr, PADDED_OUT: tl.constexpr,
    HIDDEN: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_HIDDEN: tl.constexpr, RESAMPLE: tl.constexpr,
    RESPONSE: tl.constexpr, SHORTCUT: tl.constexpr, ADD_TARGET: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, sample = tl.program_id(0), tl.program_id(1)
    row = tile * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    channel, out, column = tl.arange(0, PADDED_IN), tl.arange(0, PADDED_OUT), tl.arange(0, BLOCK_HIDDEN)
    to, came_from, valid, reached = row_addresses(row, grid_k, grid_j, grid_i, source_j, source_i, RESAMPLE)
    is_in, is_out = channel < CHANNELS, out < OUT_CHANNELS

    y += (sample.to(tl.int64) * rows + tile * BLOCK_ROWS) * CHANNELS
    values = tl.load(
        y + tl.arange(0, BLOCK_ROWS)[:, None] * CHANNELS + channel[None, :], mask=valid[:, None] & is_in[None, :], other=0.0
    )
    values = normalized(values, normalization, channel, sample, CHANNELS).to(y.dtype.element_ty)
    sums = tl.zeros((BLOCK_ROWS, PADDED_OUT), tl.float32)
    for first in range(0, HIDDEN, BLOCK_HIDDEN):
        # Weights are padded with zeros to whole tiles and need no masks.
        weight = tl.load(expand + channel[:, None] * HIDDEN + first + column[None, :])
        hidden = tl.dot(values, weight, input_precision=PRECISION) + tl.load(expand_bias + first + column)[None, :]
        hidden = gelu(hidden, EXACT=y.dtype.element_ty == tl.float32)
        if RESPONSE:
            hidden *= tl.load(response + sample * HIDDEN + first + column)[None, :]
        weight = tl.load(project + (first + column)[:, None] * PADDED_OUT + out[None, :])
        sums = tl.dot(hidden.to(y.dtype.element_ty), weight, sums, input_precision=PRECISION)
    if SHORTCUT:
        # In an up block only the first of eight phases has any.
        if (RESAMPLE != 2) | (tile * BLOCK_ROWS < grid_k * grid_j * grid_i):
            address = source + sample.to(tl.int64) * source_rows * CHANNELS + came_from[:, None] * CHANNELS + channel[None, :]
            values = tl.load(address, mask=(valid & reached)[:, None] & is_in[None, :], other=0.0)
            weight = tl.load(shortcut + channel[:, None] * PADDED_OUT + out[None, :])
            sums = tl.dot(values, weight, sums, input_precision=PRECISION)
    sums += tl.load(project_bias + out)[None, :]
    address = target + sample.to(tl.int64) * target_rows * OUT_CHANNELS + to[:, None] * OUT_CHANNELS + out[None, :]
    wanted = valid[:, None] & is_out[None, :]
    if ADD_TARGET:
        sums += tl.load(address, mask=wanted, other=0.0).to(tl.float32)
    tl.store(address, sums.to(target.dtype.element_ty), mask=wanted)
