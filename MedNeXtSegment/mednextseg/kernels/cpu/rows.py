"""Activations as rows: one row a voxel, one column a channel.

A tensor of the network, (1, C, K, J, I) in memory format channels_last_3d, is the matrix (K*J*I, C) without any copy. A 1x1x1
convolution is then a matrix product, and oneDNN's depthwise kernels read and write the same memory with no reordering.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# Elements of the widest intermediate of a chunk, for each thread. Measured on Zen 4: a quarter of it costs 15-25 % (calls),
# four times as much 5-10 % (the intermediate leaves the cache).
CHUNK_ELEMENTS = 2**19

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Rows:
    """The activation of one sample.

    Attributes:
        values: (K*J*I, C), contiguous; voxels in C order of (k, j, i).
        grid_kji: (K, J, I).
    """

    values: Tensor
    grid_kji: Grid

    @classmethod
    def from_volume(cls, volume: Tensor) -> "Rows":
        """Rows of a volume (1, C, K, J, I); no copy where it is channels_last_3d already."""
        channels = volume.shape[1]
        return cls(volume.permute(0, 2, 3, 4, 1).reshape(-1, channels).contiguous(), tuple(volume.shape[2:]))

    @property
    def volume(self) -> Tensor:
        """The same memory as (1, C, K, J, I), channels_last_3d."""
        return self.values.view(1, *self.grid_kji, self.values.shape[1]).permute(0, 4, 1, 2, 3)


def chunks(rows: int, widest: int) -> Iterator[slice]:
    """Cut `rows` rows so that an intermediate of `widest` columns stays in the cache of the cores at work."""
    size = max(64, CHUNK_ELEMENTS * torch.get_num_threads() // widest)
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def plane_chunks(grid_kji: Grid, widest: int) -> Iterator[tuple[slice, slice]]:
    """Cut a grid along k the same way; yields (planes, rows of these planes)."""
    planes, plane_rows = grid_kji[0], grid_kji[1] * grid_kji[2]
    step = max(1, CHUNK_ELEMENTS * torch.get_num_threads() // (widest * plane_rows))
    for start in range(0, planes, step):
        stop = min(start + step, planes)
        yield slice(start, stop), slice(start * plane_rows, stop * plane_rows)
