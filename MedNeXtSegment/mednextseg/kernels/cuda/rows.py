"""Activations on a graphics card: one row a voxel, one column a channel, all samples of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mednextseg.kernels.cpu.rows import Grid


@dataclass(frozen=True)
class BatchRows:
    """The activation of a batch.

    Attributes:
        values: (N, rows, C), contiguous; voxels in C order of (k, j, i). After a transposed convolution there are eight phases of
            K*J*I rows each, one after the other, for the outputs 2 m + parity (see transposed.py).
        grid_kji: (K, J, I).
    """

    values: Tensor
    grid_kji: Grid

    @classmethod
    def empty(cls, samples: int, grid_kji: Grid, channels: int, like: Tensor, phases: int = 1) -> "BatchRows":
        """Memory of the dtype and on the device of `like`, not filled."""
        rows = phases * grid_kji[0] * grid_kji[1] * grid_kji[2]
        return cls(torch.empty(samples, rows, channels, dtype=like.dtype, device=like.device), grid_kji)


@dataclass(frozen=True)
class Residual:
    """What a block's result is added to, and where it goes.

    Attributes:
        target: written in place; (N, target rows, C_out).
        add_target: add to what is there, instead of overwriting it.
        source: rows that the shortcut convolution reads; any rows where the block has none.
        resample: KEEP, DOWN or UP of addresses.py.
    """

    target: BatchRows
    add_target: bool
    source: BatchRows
    resample: int
