"""Small Triton functions that several kernels share: where the rows of a block's result go, the norm, the GELU.

`RESAMPLE` says which block it is: 0 keeps the grid, 1 is the down block, 2 the up block.
"""

# Constants of the compiler are in capitals, as in Triton's own code.
# ruff: noqa: N803

import triton
import triton.language as tl

KEEP, DOWN, UP = 0, 1, 2  # values of RESAMPLE


@triton.jit
def row_addresses(row, grid_k, grid_j, grid_i, source_j, source_i, RESAMPLE: tl.constexpr):
    """Rows of the target and of the shortcut's source that belong to rows of the depthwise convolution's output.

    Args:
        row: (ROWS,) int32. grid_*: grid of the output (DOWN), of the input (UP: eight phases of it), of both (KEEP).
            Numbers of voxels fit into 32 bits; their division in 64 bits would cost more than a matrix product.
        source_j, source_i: last two axes of the down block's input.
    Returns:
        target, source: (ROWS,) int64, because they are to be multiplied by channels. valid: (ROWS,) whether the row exists.
        shortcut: (ROWS,) whether the source reaches it.
    """
    plane = grid_j * grid_i
    cells = grid_k * plane
    target, source = row, row
    valid = row < cells
    shortcut = valid
    if RESAMPLE == 1:
        k, j, i = row // plane, row // grid_i % grid_j, row % grid_i
        source = (2 * k * source_j + 2 * j) * source_i + 2 * i
    if RESAMPLE == 2:
        # Output 2 m + parity of the transposed convolution, behind the zero plane of every axis of the skip connection's grid. The
        # strided 1x1 shortcut reaches the even outputs only, that is phase 0.
        phase, cell = row // cells, row % cells
        k, j, i = cell // plane, cell // grid_i % grid_j, cell % grid_i
        odd_k, odd_j, odd_i = phase // 4, phase // 2 % 2, phase % 2
        valid = (phase < 8) & (k < grid_k - odd_k) & (j < grid_j - odd_j) & (i < grid_i - odd_i)
        shortcut = phase == 0
        source = cell
        target = ((2 * k + odd_k + 1) * (2 * grid_j) + 2 * j + odd_j + 1) * (2 * grid_i) + 2 * i + odd_i + 1
    return target.to(tl.int64), source.to(tl.int64), valid, shortcut


@triton.jit
def normalized(values, normalization, channel, sample, CHANNELS: tl.constexpr):
    """(values - mean) * scale + offset in float32; values (ROWS, channels), normalization (N, 3, CHANNELS)."""
    exists = channel < CHANNELS
    base = normalization + sample * (3 * CHANNELS) + channel
    mean = tl.load(base, mask=exists, other=0.0)
    scale = tl.load(base + CHANNELS, mask=exists, other=0.0)
    offset = tl.load(base + 2 * CHANNELS, mask=exists, other=0.0)
    return (values.to(tl.float32) - mean[None, :]) * scale[None, :] + offset[None, :]


@triton.jit
def gelu(x, EXACT: tl.constexpr):
    """x * Phi(x) by the error function, not its tanh approximation; float32.

    Where the result is rounded to 16 bits, the complementary error function is that of Abramowitz and Stegun, 7.1.26: 1.5e-7 from
    the true one, no branches, a third of the instructions. On the highest levels the GELU costs more time than the memory.
    """
    if EXACT:
        return 0.5 * x * (1.0 + tl.math.erf(x * 0.7071067811865476))
    t = 1.0 / (1.0 + 0.23164190 * tl.abs(x))  # their p / sqrt(2); coefficients below are half of theirs
    half_erfc = ((((0.5307027145 * t - 0.7265760135) * t + 0.7107068705) * t - 0.142248368) * t + 0.127414796) * t
    half_erfc *= tl.exp2(-0.7213475204444817 * x * x)  # exp(-x*x / 2)
    return tl.maximum(x, 0.0) - tl.abs(x) * half_erfc
