"""Expansion and projection of a block as two matrix products in Triton, for the wide blocks of the deep levels.

There the grid has few voxels and the weights are large: one program for some rows and all hidden columns would leave most of the
card idle. The expanded activation is stored in between; at these levels it fits into the second-level cache.

The first product also takes the response of the hidden channels where a network has global response norm. The second also
serves the heads of the network, which are a projection whose result has another layout.
"""

# Constants of the compiler are in capitals, as in Triton's own code.
# ruff: noqa: N803

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from mednextseg.kernels.cuda.addresses import KEEP, gelu, normalized, row_addresses
from mednextseg.kernels.cuda.rows import BatchRows, Residual
from mednextseg.kernels.cuda.weights import PRECISION, BlockWeights

_TILE = {torch.float16: (64, 64, 64), torch.bfloat16: (64, 64, 64), torch.float32: (64, 64, 32)}  # rows, columns, depth


def expand_rows(
    y: BatchRows, normalization: Tensor, weights: BlockWeights, resample: int, store: bool = True
) -> tuple[Tensor, Tensor]:
    """gelu(expand(norm(y))), and the squares of every hidden channel summed over each tile of rows.

    Args:
        y: (N, rows, C). normalization: (N, 3, C). resample: which rows exist, see addresses.py.
        store: False leaves the first result empty, for a caller that needs the squares only.
    Returns:
        (N, rows, H') of the dtype of y, and (N, tiles, H') float32, filled for global response norm only.
    """
    samples, rows, channels = y.values.shape
    depth, hidden = weights.expand.shape
    block_rows, block_columns, block_depth = _TILE[y.values.dtype]
    tiles = triton.cdiv(rows, block_rows)
    out = y.values.new_empty(samples, rows if store else 0, hidden)
    squares = torch.empty(samples, tiles if weights.gamma is not None else 0, hidden, device=out.device)
    _expand_kernel[tiles, triton.cdiv(hidden, block_columns), samples](
        y.values,
        normalization,
        weights.expand,
        weights.expand_bias,
        out,
        squares,
        rows,
        *y.grid_kji,
        CHANNELS=channels,
        DEPTH=depth,
        HIDDEN=hidden,
        BLOCK_ROWS=block_rows,
        BLOCK_COLUMNS=block_columns,
        BLOCK_DEPTH=math.gcd(block_depth, depth),
        RESAMPLE=resample,
        STORE=store,
        SQUARES=weights.gamma is not None,
        PRECISION=PRECISION,
        num_warps=4,
        num_stages=3,
    )
    return out, squares


def project_rows(
    hidden: Tensor, grid_kji: tuple[int, ...], weights: BlockWeights, residual: Residual, response: Tensor | None = None
) -> None:
    """residual.target = project(hidden * response) + shortcut (+ residual.target).

    Args:
        hidden: (N, rows, H'). grid_kji: of the rows, see `row_addresses`. response: (N, H') float32.
    """
    target = residual.target.values
    _project(
        hidden,
        grid_kji,
        (weights.project, weights.project_bias),
        target,
        (target.shape[2], target.shape[2], 1),
        residual,
        weights.shortcut,
        response,
    )


def head(rows: BatchRows, weight: Tensor, bias: Tensor, logits: Tensor) -> None:
    """logits = rows @ weight + bias, classes first.

    Args:
        rows: (N, V, C). weight: (C', classes') padded with zeros. bias: (classes',) float32.
        logits: (N, classes, V) float32, contiguous; written.
    """
    classes, voxels = logits.shape[1:]
    residual = Residual(rows, False, rows, KEEP)
    _project(rows.values, rows.grid_kji, (weight, bias), logits, (classes, 1, voxels), residual, None, None)


def _project(
    hidden: Tensor,
    grid_kji: tuple[int, ...],
    weight_and_bias: tuple[Tensor, Tensor],
    target: Tensor,
    columns_and_strides: tuple[int, int, int],
    residual: Residual,
    shortcut: Tensor | None,
    response: Tensor | None,
) -> None:
    samples, rows, width = hidden.shape
    weight, bias = weight_and_bias
    depth, padded_columns = weight.shape
    block_rows, block_columns, block_depth = _TILE[hidden.dtype]
    block_columns = min(block_columns, padded_columns)
    columns, row_stride, column_stride = columns_and_strides
    source_depth = 16 if shortcut is None else shortcut.shape[0]
    _project_kernel[triton.cdiv(rows, block_rows), triton.cdiv(columns, block_columns), samples](
        hidden,
        weight if response is None else response,
        weight,
        bias,
        residual.source.values,
        weight if shortcut is None else shortcut,
        target,
        rows,
        residual.source.values.shape[1],
        target.stride(0),
        row_stride,
        column_stride,
        *grid_kji,
        *residual.source.grid_kji[1:],
        WIDTH=width,
        DEPTH=depth,
        SOURCE_CHANNELS=residual.source.values.shape[2],
        SOURCE_DEPTH=source_depth,
        COLUMNS=columns,
        PADDED_COLUMNS=padded_columns,
        BLOCK_ROWS=block_rows,
        BLOCK_COLUMNS=block_columns,
        BLOCK_DEPTH=math.gcd(block_depth, depth),
        BLOCK_SOURCE=math.gcd(block_depth, source_depth),
        RESAMPLE=residual.resample,
        RESPONSE=response is not None,
        SHORTCUT=shortcut is not None,
        ADD_TARGET=residual.add_target,
        PRECISION=PRECISION,
        num_warps=4,
        num_stages=3,
    )


@triton.jit
def _expand_kernel(
    y,
    normalization,
    expand,
    expand_bias,
    out,
    squares,
    rows,
    grid_k,
    grid_j,
    grid_i,
    CHANNELS: tl.constexpr,
    DEPTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    BLOCK_DEPTH: tl.constexpr,
    RESAMPLE: tl.constexpr,
    STORE: tl.constexpr,
    SQUARES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    tile, sample = tl.program_id(0), tl.program_id(2)
    column = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    row, depth = tl.arange(0, BLOCK_ROWS), tl.arange(0, BLOCK_DEPTH)
    _, _, valid, _ = row_addresses(tile * BLOCK_ROWS + row, grid_k, grid_j, grid_i, 1, 1, RESAMPLE)
    is_column = column < HIDDEN
    first_row = sample.to(tl.int64) * rows + tile * BLOCK_ROWS
    y += first_row * CHANNELS
    sums = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), tl.float32)
    for first in range(0, DEPTH, BLOCK_DEPTH):
        channel = first + depth
        wanted = valid[:, None] & (channel < CHANNELS)[None, :]
        values = tl.load(y + row[:, None] * CHANNELS + channel[None, :], mask=wanted, other=0.0)
        values = normalized(values, normalization, channel, sample, CHANNELS).to(y.dtype.element_ty)
        weight = tl.load(expand + channel[:, None] * HIDDEN + column[None, :], mask=is_column[None, :], other=0.0)
        sums = tl.dot(values, weight, sums, input_precision=PRECISION)
    sums += tl.load(expand_bias + column, mask=is_column, other=0.0)[None, :]
    hidden = gelu(sums, EXACT=y.dtype.element_ty == tl.float32)
    if STORE:
        address = out + first_row * HIDDEN + row[:, None] * HIDDEN + column[None, :]
        tl.store(address, hidden.to(out.dtype.element_ty), mask=valid[:, None] & is_column[None, :])
    if SQUARES:
        total = tl.sum(tl.where(valid[:, None], hidden * hidden, 0.0), axis=0)
        tl.store(squares + (sample * tl.num_programs(0) + tile) * HIDDEN + column, total, mask=is_column)


@triton.jit
def _project_kernel(
    hidden, response, project, project_bias, source, shortcut, target,
    rows, source_rows, sample_stride, row_stride, column_stride, grid_k, grid_j, grid_i, source_j, source_i,
    WIDTH: tl.constexpr, DEPTH: tl.constexpr, SOURCE_CHANNELS: tl.constexpr, SOURCE_DEPTH: tl.constexpr,
    COLUMNS: tl.constexpr, PADDED_COLUMNS: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
    BLOCK_DEPTH: tl.constexpr, BLOCK_SOURCE: tl.constexpr, RESAMPLE: tl.constexpr, RESPONSE: tl.constexpr,
    SHORTCUT: tl.constexpr, ADD_TARGET: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    tile, sample = tl.program_id(0), tl.program_id(2)
    column = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    row, depth = tl.arange(0, BLOCK_ROWS), tl.arange(0, BLOCK_DEPTH)
    to, came_from, valid, reached = row_addresses(tile * BLOCK_ROWS + row, grid_k, grid_j, grid_i, source_j, source_i, RESAMPLE)
    hidden += (sample.to(tl.int64) * rows + tile * BLOCK_ROWS) * WIDTH
    sums = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), tl.float32)
    for first in range(0, DEPTH, BLOCK_DEPTH):
        k = first + depth
        values = tl.load(hidden + row[:, None] * WIDTH + k[None, :], mask=valid[:, None] & (k < WIDTH)[None, :], other=0.0)
        if RESPONSE:
            factor = tl.load(response + sample * DEPTH + k)
            values = (values.to(tl.float32) * factor[None, :]).to(hidden.dtype.element_ty)
        weight = tl.load(project + k[:, None] * PADDED_COLUMNS + column[None, :])
        sums = tl.dot(values, weight, sums, input_precision=PRECISION)
    if SHORTCUT:
        # In an up block only the first of eight phases has any.
        if (RESAMPLE != 2) | (tile * BLOCK_ROWS < grid_k * grid_j * grid_i):
            source += sample.to(tl.int64) * source_rows * SOURCE_CHANNELS
            for first in range(0, SOURCE_DEPTH, BLOCK_SOURCE):
                k = first + tl.arange(0, BLOCK_SOURCE)
                wanted = (valid & reached)[:, None] & (k < SOURCE_CHANNELS)[None, :]
                values = tl.load(source + came_from[:, None] * SOURCE_CHANNELS + k[None, :], mask=wanted, other=0.0)
                weight = tl.load(shortcut + k[:, None] * PADDED_COLUMNS + column[None, :])
                sums = tl.dot(values, weight, sums, input_precision=PRECISION)
    sums += tl.load(project_bias + column)[None, :]
    address = (
        target + sample.to(tl.int64) * sample_stride + to[:, None] * row_stride + column.to(tl.int64)[None, :] * column_stride
    )
    wanted = valid[:, None] & (column < COLUMNS)[None, :]
    if ADD_TARGET:
        sums += tl.load(address, mask=wanted, other=0.0).to(tl.float32)
    tl.store(address, sums.to(target.dtype.element_ty), mask=wanted)
