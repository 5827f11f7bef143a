"""Transposed depthwise convolution of stride 2 in Triton, with the statistics of its output taken in the same pass.

Output voxel o gets input voxel i through tap t = o + p - 2 i, where p = kernel // 2. With o = 2 m + parity, every output of a cell m
sees the inputs i = m + shift of a small neighborhood (3 x 3 x 3 for a kernel of 5), each through the tap parity + p - 2 shift. A
program loads this neighborhood for a tile of cells and adds to four outputs of every cell at the same time, those of one parity
along k: four, so that there are registers for two cells a thread and a weight that is loaded serves both.

The outputs lie phase after phase: (N, 8 * K*J*I, C), phase 4 pk + 2 pj + pi, each with the grid of the input. An axis of n voxels
has 2n - 1 outputs, so the last plane of an odd phase does not exist; its memory is not written.
"""

# Constants of the compiler are in capitals, as in Triton's own code, and it knows no unpacking of tuples.
# ruff: noqa: N803, RUF005

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from mednextseg.kernels.cuda.depthwise import plane_tile, taps_first
from mednextseg.kernels.cuda.rows import BatchRows
from mednextseg.kernels.cuda.statistics import (
    NormWeights,
    combine_statistics,
    empty_tile_statistics,
    store_tile_statistics,
)

PHASES = 8


class CudaTransposedDepthwise:
    """nn.ConvTranspose3d, depthwise, stride 2, odd kernel, followed by the statistics for the norm of its output."""

    def __init__(self, conv: nn.ConvTranspose3d, norm: nn.GroupNorm, device: torch.device) -> None:
        self.kernel = conv.kernel_size[0]
        self.weight = taps_first(conv.weight, device)
        self.bias = conv.bias.detach().to(device, torch.float32, copy=True)
        self.norm = NormWeights.of(norm, device)

    def __call__(self, rows: BatchRows) -> tuple[BatchRows, Tensor]:
        """Eight phases (N, 8 * K*J*I, C) of the result, and the normalization (N, 3, C) of all of them together."""
        samples, _, channels = rows.values.shape
        y = BatchRows.empty(samples, rows.grid_kji, channels, rows.values, phases=PHASES)
        height, width, block_channels = plane_tile(rows.grid_kji, channels)
        height *= 2
        tiles_kji = (rows.grid_kji[0], triton.cdiv(rows.grid_kji[1], height), triton.cdiv(rows.grid_kji[2], width))
        tiles = 2 * tiles_kji[0] * tiles_kji[1] * tiles_kji[2]
        statistics, counts = empty_tile_statistics(samples, tiles, channels, y.values.device)
        _transposed_kernel[tiles, samples, triton.cdiv(channels, block_channels)](
            rows.values,
            self.weight,
            self.bias,
            y.values,
            statistics,
            counts,
            *rows.grid_kji,
            *tiles_kji[1:],
            tiles,
            CHANNELS=channels,
            KERNEL=self.kernel,
            HEIGHT=height,
            WIDTH=width,
            BLOCK_CHANNELS=block_channels,
            num_warps=4,
        )
        return y, combine_statistics(statistics, counts, self.norm)


@triton.jit
def _transposed_kernel(
    x,
    weight,
    bias,
    y,
    tile_statistics,
    counts,
    grid_k,
    grid_j,
    grid_i,
    tiles_j,
    tiles_i,
    tiles,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    tile, sample = tl.program_id(0), tl.program_id(1)
    channel = tl.program_id(2) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    exists = channel < CHANNELS
    row = tl.arange(0, HEIGHT * WIDTH)
    odd_k, k = tile % 2, tile // (2 * tiles_i * tiles_j)
    j = tile // (2 * tiles_i) % tiles_j * HEIGHT + row // WIDTH
    i = tile // 2 % tiles_i * WIDTH + row % WIDTH
    pad: tl.constexpr = KERNEL // 2
    before: tl.constexpr = pad // 2
    width: tl.constexpr = (pad + 1) // 2 + before + 1  # shifts -before .. (pad + 1) // 2

    cells = grid_k.to(tl.int64) * grid_j * grid_i
    x += sample.to(tl.int64) * cells * CHANNELS
    start = tl.load(bias + channel, mask=exists, other=0.0)
    sums = (tl.zeros((HEIGHT * WIDTH, BLOCK_CHANNELS), tl.float32) + start[None, :],) * 4
    # Shifts are counted from 0 here, so that tap = parity + pad + 2 before - 2 shift. Along k it is a loop of the compiled code (a
    # quarter of the compilation time), where taps outside the kernel count as zero; along j and i such taps are left out.
    for shift_k in range(width):
        from_k = k + shift_k - before
        address = x + from_k.to(tl.int64) * (grid_j * grid_i * CHANNELS)
        tap_k = odd_k + pad + 2 * before - 2 * shift_k
        known = exists & (tap_k >= 0) & (tap_k < KERNEL)
        plane_exists = (from_k >= 0) & (from_k < grid_k)
        sums = _add_plane(sums, address, weight, tap_k, j, i, grid_j, grid_i, plane_exists, channel, known, CHANNELS, KERNEL)

    y += ((sample * 8 + 4 * odd_k).to(tl.int64) * cells + k.to(tl.int64) * grid_j * grid_i) * CHANNELS
    offset = (j * grid_i + i)[:, None] * CHANNELS + channel[None, :]
    stored, valid = _store_phases(y, offset, sums, k < grid_k - odd_k, grid_j - j, grid_i - i, exists, cells * CHANNELS)
    store_tile_statistics(stored, valid, tile_statistics, counts, sample, tile, tiles, channel, CHANNELS, PARTS=4)


@triton.jit
def _add_plane(
    sums, x, weight, tap_k, j, i, grid_j, grid_i, plane_exists, channel, known, CHANNELS: tl.constexpr, KERNEL: tl.constexpr
):
    """Add a plane of the neighborhood to the four outputs of every cell, each voxel through the tap of the phase, if there is one."""
    pad: tl.constexpr = KERNEL // 2
    before: tl.constexpr = pad // 2
    width: tl.constexpr = (pad + 1) // 2 + before + 1
    for shift in tl.static_range(width * width):
        from_j, from_i = j + shift // width - before, i + shift % width - before
        wanted = plane_exists & (from_j >= 0) & (from_j < grid_j) & (from_i >= 0) & (from_i < grid_i)
        offset = (from_j * grid_i + from_i)[:, None] * CHANNELS + channel[None, :]
        value = tl.load(x + offset, mask=wanted[:, None] & (channel < CHANNELS)[None, :], other=0.0).to(tl.float32)
        for phase in tl.static_range(4):
            tap_j = phase // 2 + pad + 2 * before - 2 * (shift // width)
            tap_i = phase % 2 + pad + 2 * before - 2 * (shift % width)
            if tap_j >= 0 and tap_j < KERNEL and tap_i >= 0 and tap_i < KERNEL:
                tap = (tap_k * KERNEL + tap_j) * KERNEL + tap_i
                factor = tl.load(weight + tap * CHANNELS + channel, mask=known, other=0.0)
                sums = sums[:phase] + (sums[phase] + value * factor[None, :],) + sums[phase + 1 :]
    return sums


@triton.jit
def _store_phases(y, offset, sums, plane_exists, left_j, left_i, exists, phase_size):
    """Store four phases of a tile; returns what was stored and which rows of it exist. left_j, left_i: cells up to the edge."""
    stored = sums
    valid = (left_j < 0,) * 4
    for phase in tl.static_range(4):
        here = plane_exists & (left_j > phase // 2) & (left_i > phase % 2)
        rounded = sums[phase].to(y.dtype.element_ty)
        tl.store(y + phase * phase_size + offset, rounded, mask=here[:, None] & exists[None, :])
        stored = stored[:phase] + (rounded.to(tl.float32),) + stored[phase + 1 :]
        valid = valid[:phase] + (here,) + valid[phase + 1 :]
    return stored, valid
