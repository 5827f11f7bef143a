"""Depthwise convolution of stride 1 or 2 in Triton, with the statistics of its output taken in the same pass.

A program computes a tile of the output, TILE_PLANES planes high, and keeps it in registers. It walks the taps of a plane; for each
it loads the column of input voxels below its tile once and uses every voxel for all taps along k that meet it. A kernel of 5 so
reads its input 37 times instead of 125 times, nearly always from the first-level cache.
"""

# Constants of the compiler are in capitals, as in Triton's own code, and it knows no unpacking of tuples.
# ruff: noqa: N803, RUF005

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

from mednextseg.kernels.cuda.rows import BatchRows
from mednextseg.kernels.cuda.statistics import (
    NormWeights,
    combine_statistics,
    empty_tile_statistics,
    store_tile_statistics,
)

# Rows times channels of one plane of a tile: eight accumulators of that size take 64 registers of each of 128 threads.
TILE_ROWS_BY_CHANNELS = 1024
_PLANES = {1: 8, 2: 4}  # of a tile at most, by stride


class CudaDepthwise:
    """nn.Conv3d, depthwise, odd kernel, followed by the statistics for the norm of its output.

    The weights are kept in float32 for every dtype of the activations; sums are float32.
    """

    def __init__(self, conv: nn.Conv3d, norm: nn.GroupNorm, device: torch.device) -> None:
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        self.weight = taps_first(conv.weight, device)
        self.bias = conv.bias.detach().to(device, torch.float32, copy=True)
        self.norm = NormWeights.of(norm, device)

    def __call__(self, rows: BatchRows) -> tuple[BatchRows, Tensor]:
        """The convolution of (N, K*J*I, C), and the normalization (N, 3, C) of it; see `combine_statistics`."""
        samples, _, channels = rows.values.shape
        grid_kji = tuple(triton.cdiv(n, self.stride) for n in rows.grid_kji)
        y = BatchRows.empty(samples, grid_kji, channels, rows.values)
        planes = min(_PLANES[self.stride], triton.next_power_of_2(grid_kji[0]))
        height, width, block_channels = plane_tile(grid_kji, channels)
        tiles_kji = tuple(triton.cdiv(n, size) for n, size in zip(grid_kji, (planes, height, width), strict=True))
        tiles = tiles_kji[0] * tiles_kji[1] * tiles_kji[2]
        statistics, counts = empty_tile_statistics(samples, tiles, channels, y.values.device)
        _depthwise_kernel[tiles, samples, triton.cdiv(channels, block_channels)](
            rows.values,
            self.weight,
            self.bias,
            y.values,
            statistics,
            counts,
            *rows.grid_kji,
            *grid_kji,
            *tiles_kji[1:],
            tiles,
            CHANNELS=channels,
            KERNEL=self.kernel,
            STRIDE=self.stride,
            PLANES=planes,
            HEIGHT=height,
            WIDTH=width,
            BLOCK_CHANNELS=block_channels,
            num_warps=4,
        )
        return y, combine_statistics(statistics, counts, self.norm)


def taps_first(weight: Tensor, device: torch.device) -> Tensor:
    """The weight (C, 1, k, k, k) of a depthwise convolution as (k*k*k, C) float32: neighboring channels lie together."""
    return weight.detach().flatten(1).t().to(device, torch.float32, copy=True).contiguous()


def plane_tile(grid_kji: tuple[int, ...], channels: int) -> tuple[int, int, int]:
    """Height, width (voxels) and channels of a tile in a plane of the output; powers of two, as square as the plane allows."""
    block_channels = min(32, max(16, triton.next_power_of_2(channels)))
    rows = TILE_ROWS_BY_CHANNELS // block_channels
    width = min(8, triton.next_power_of_2(grid_kji[2]))
    return rows // width, width, block_channels


@triton.jit
def _depthwise_kernel(
    x,
    weight,
    bias,
    y,
    tile_statistics,
    counts,
    in_k,
    in_j,
    in_i,
    out_k,
    out_j,
    out_i,
    tiles_j,
    tiles_i,
    tiles,
    CHANNELS: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PLANES: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_CHANNELS: tl.constexpr,
):
    tile, sample = tl.program_id(0), tl.program_id(1)
    channel = tl.program_id(2) * BLOCK_CHANNELS + tl.arange(0, BLOCK_CHANNELS)
    exists = channel < CHANNELS
    row = tl.arange(0, HEIGHT * WIDTH)
    k = tile // (tiles_i * tiles_j) * PLANES
    j = tile // tiles_i % tiles_j * HEIGHT + row // WIDTH
    i = tile % tiles_i * WIDTH + row % WIDTH
    pad: tl.constexpr = KERNEL // 2

    # Whole samples can lie beyond 2**31 elements, and planes of large volumes too; within a plane 32 bits suffice.
    x += sample.to(tl.int64) * in_k * in_j * in_i * CHANNELS
    start = tl.load(bias + channel, mask=exists, other=0.0)
    sums = (tl.zeros((HEIGHT * WIDTH, BLOCK_CHANNELS), tl.float32) + start[None, :],) * PLANES
    for tap in range(KERNEL * KERNEL):
        from_j, from_i = j * STRIDE + tap // KERNEL - pad, i * STRIDE + tap % KERNEL - pad
        inside = (from_j >= 0) & (from_j < in_j) & (from_i >= 0) & (from_i < in_i)
        offset = (from_j * in_i + from_i)[:, None] * CHANNELS + channel[None, :]
        factors = _factors(weight, start, tap, channel, exists, CHANNELS, KERNEL)
        wanted, from_k = inside[:, None] & exists[None, :], k * STRIDE - pad
        sums = _add_column(sums, x, offset, wanted, from_k, in_k, in_j * in_i * CHANNELS, factors, KERNEL, STRIDE, PLANES)

    y += sample.to(tl.int64) * out_k * out_j * out_i * CHANNELS
    inside = (j < out_j) & (i < out_i)
    offset = (j * out_i + i)[:, None] * CHANNELS + channel[None, :]
    stored, valid = _store_planes(y, offset, sums, inside, exists, k, out_k, out_j * out_i * CHANNELS, PLANES)
    store_tile_statistics(stored, valid, tile_statistics, counts, sample, tile, tiles, channel, CHANNELS, PARTS=PLANES)


@triton.jit
def _factors(weight, start, tap, channel, exists, CHANNELS: tl.constexpr, KERNEL: tl.constexpr):
    """The weights of one tap of a plane for all taps along k; `start` only lends its shape."""
    factors = (start,) * KERNEL
    for tap_k in tl.static_range(KERNEL):
        factor = tl.load(weight + (tap_k * KERNEL * KERNEL + tap) * CHANNELS + channel, mask=exists, other=0.0)
        factors = factors[:tap_k] + (factor,) + factors[tap_k + 1 :]
    return factors


@triton.jit
def _add_column(
    sums, x, offset, inside, k, in_k, plane_size, factors, KERNEL: tl.constexpr, STRIDE: tl.constexpr, PLANES: tl.constexpr
):
    """Add a column of input voxels, from k on, to the planes of the tile that each of its voxels meets."""
    for plane in tl.static_range(STRIDE * (PLANES - 1) + KERNEL):
        from_k = k + plane
        wanted = inside & (from_k >= 0) & (from_k < in_k)
        value = tl.load(x + from_k.to(tl.int64) * plane_size + offset, mask=wanted, other=0.0).to(tl.float32)
        for target in tl.static_range(PLANES):
            if plane >= STRIDE * target and plane < STRIDE * target + KERNEL:
                term = value * factors[plane - STRIDE * target][None, :]
                sums = sums[:target] + (sums[target] + term,) + sums[target + 1 :]
    return sums


@triton.jit
def _store_planes(y, offset, sums, inside, exists, k, out_k, plane_size, PLANES: tl.constexpr):
    """Store a tile; returns what was stored and which rows of it exist.

    Statistics are taken of what is stored: in a nearly constant channel the norm would magnify the rounding of the mean.
    """
    stored = sums
    valid = (inside,) * PLANES
    for target in tl.static_range(PLANES):
        here = inside & (k + target < out_k)
        rounded = sums[target].to(y.dtype.element_ty)
        tl.store(y + (k + target).to(tl.int64) * plane_size + offset, rounded, mask=here[:, None] & exists[None, :])
        stored = stored[:target] + (rounded.to(tl.float32),) + stored[target + 1 :]
        valid = valid[:target] + (here,) + valid[target + 1 :]
    return stored, valid
