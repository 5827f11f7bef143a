"""Mean and variance of every channel of every sample on a graphics card, in two stages that always add in the same order.

The kernels that write an activation summarize every tile of it while its values are still in registers: count, mean, sum and
squares of the deviations from that mean. A second kernel combines the tiles in double precision (Chan, Golub and LeVeque 1979). No
difference of large sums is taken anywhere, and there are no atomic additions, so a result does not change from run to run.
"""

# Constants of the compiler are in capitals, as in Triton's own code.
# ruff: noqa: N803

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

_TILES_AT_ONCE = 64
_CHANNELS_AT_ONCE = 8  # few, so that a wide tensor occupies many processors


@dataclass(frozen=True)
class NormWeights:
    """The affine part of a norm, (C,) float32 each."""

    gamma: Tensor
    beta: Tensor
    eps: float

    @classmethod
    def of(cls, norm: nn.GroupNorm, device: torch.device) -> "NormWeights":
        """A copy on the device."""
        gamma, beta = (values.detach().to(device, torch.float32, copy=True) for values in (norm.weight, norm.bias))
        return cls(gamma, beta, norm.eps)


def empty_tile_statistics(samples: int, tiles: int, channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Room for what `store_tile_statistics` writes: (samples, tiles, 3, channels) float32 and the counts (tiles,) int32."""
    tile_statistics = torch.empty(samples, tiles, 3, channels, device=device)
    return tile_statistics, torch.empty(tiles, dtype=torch.int32, device=device)


@triton.jit
def store_tile_statistics(
    parts, valid, tile_statistics, counts, sample, tile, tiles, channel, channel_count, PARTS: tl.constexpr
):
    """Write count and mean of the columns of a tile, and sum and squares of the deviations from that mean as it was rounded.

    `parts` is a tuple of (rows, channels) float32 blocks and `valid` a tuple of masks (rows,): which rows exist.
    """
    # Added block by block first: one reduction across threads instead of one a block.
    rows, sums = valid[0].to(tl.int32), tl.where(valid[0][:, None], parts[0], 0.0)
    for part in tl.static_range(1, PARTS):
        rows += valid[part].to(tl.int32)
        sums += tl.where(valid[part][:, None], parts[part], 0.0)
    count = tl.sum(rows, axis=0)
    mean = tl.sum(sums, axis=0) / tl.maximum(count, 1).to(tl.float32)
    sums, squares = tl.zeros_like(sums), tl.zeros_like(sums)
    for part in tl.static_range(PARTS):
        deviation = tl.where(valid[part][:, None], parts[part] - mean[None, :], 0.0)
        sums += deviation
        squares += deviation * deviation
    address = tile_statistics + (sample.to(tl.int64) * tiles + tile) * (3 * channel_count) + channel
    tl.store(address, mean, mask=channel < channel_count)
    tl.store(address + channel_count, tl.sum(sums, axis=0), mask=channel < channel_count)
    tl.store(address + 2 * channel_count, tl.sum(squares, axis=0), mask=channel < channel_count)
    tl.store(counts + tile, count)  # the same number from every sample and channel


@triton.jit
def _combine_kernel(
    tile_statistics,
    counts,
    gamma,
    beta,
    normalization,
    tiles,
    channel_count,
    eps,
    TILES_AT_ONCE: tl.constexpr,
    CHANNELS_AT_ONCE: tl.constexpr,
):
    sample = tl.program_id(1)
    channel = tl.program_id(0) * CHANNELS_AT_ONCE + tl.arange(0, CHANNELS_AT_ONCE)
    exists = channel < channel_count
    base = tile_statistics + sample.to(tl.int64) * tiles * (3 * channel_count)
    # Sums about the mean of the first tile, which is near enough to the mean of all for 53 bits.
    origin = tl.load(base + channel, mask=exists, other=0.0).to(tl.float64)
    count = tl.zeros((TILES_AT_ONCE,), tl.int64)
    first = tl.zeros((TILES_AT_ONCE, CHANNELS_AT_ONCE), tl.float64)
    second = tl.zeros((TILES_AT_ONCE, CHANNELS_AT_ONCE), tl.float64)
    for start in range(0, tiles, TILES_AT_ONCE):
        tile = start + tl.arange(0, TILES_AT_ONCE)
        wanted = (tile < tiles)[:, None] & exists[None, :]
        address = base + tile[:, None].to(tl.int64) * (3 * channel_count) + channel[None, :]
        rows = tl.load(counts + tile, mask=tile < tiles, other=0)
        mean = tl.load(address, mask=wanted, other=0.0).to(tl.float64)
        deviations = tl.load(address + channel_count, mask=wanted, other=0.0).to(tl.float64)
        squares = tl.load(address + 2 * channel_count, mask=wanted, other=0.0).to(tl.float64)
        shift = mean - origin[None, :]
        weight = rows[:, None].to(tl.float64)
        count += rows.to(tl.int64)
        first += weight * shift + deviations
        second += squares + shift * (2.0 * deviations + weight * shift)
    total = tl.sum(count, axis=0).to(tl.float64)
    shift = tl.sum(first, axis=0) / total
    variance = tl.maximum(tl.sum(second, axis=0) / total - shift * shift, 0.0)
    scale = tl.load(gamma + channel, mask=exists, other=0.0).to(tl.float64) / tl.sqrt(variance + eps)
    mean = (origin + shift).to(tl.float32)
    # What the mean loses in single precision goes into the offset: a channel that hardly varies would magnify it.
    lost = origin + shift - mean.to(tl.float64)
    offset = tl.load(beta + channel, mask=exists, other=0.0).to(tl.float64) - lost * scale
    out = normalization + sample * (3 * channel_count) + channel
    tl.store(out, mean, mask=exists)
    tl.store(out + channel_count, scale.to(tl.float32), mask=exists)
    tl.store(out + 2 * channel_count, offset.to(tl.float32), mask=exists)


def combine_statistics(tile_statistics: Tensor, counts: Tensor, norm: NormWeights) -> Tensor:
    """The normalization of every sample and channel from the statistics of all tiles.

    Args:
        tile_statistics, counts: as `store_tile_statistics` left them.
    Returns:
        (N, 3, C) float32: mean, scale = gamma / sqrt(variance + eps) with the biased variance, offset. The normalized value of x
        is (x - mean) * scale + offset.
    """
    samples, tiles, _, channels = tile_statistics.shape
    normalization = torch.empty(samples, 3, channels, device=tile_statistics.device)
    grid = (triton.cdiv(channels, _CHANNELS_AT_ONCE), samples)
    _combine_kernel[grid](
        tile_statistics,
        counts,
        norm.gamma,
        norm.beta,
        normalization,
        tiles,
        channels,
        norm.eps,
        TILES_AT_ONCE=_TILES_AT_ONCE,
        CHANNELS_AT_ONCE=_CHANNELS_AT_ONCE,
    )
    return normalization
