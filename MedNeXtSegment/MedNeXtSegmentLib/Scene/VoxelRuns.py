"""A set of voxels in little memory."""

import numpy as np


class VoxelRuns:
    """Voxels as runs of neighbors in a row: what is solid costs a few bytes a row, and a single voxel twelve.

    Args:
        voxels: (N,) ascending flat indices, each once.
    """

    def __init__(self, voxels: np.ndarray) -> None:
        voxels = np.asarray(voxels, np.int64)
        first = np.flatnonzero(np.append(True, voxels[1:] != voxels[:-1] + 1)) if len(voxels) else np.zeros(0, np.int64)
        self._starts = voxels[first]
        self._lengths = np.diff(np.append(first, len(voxels))).astype(np.int32)

    def __len__(self) -> int:
        return int(self._lengths.sum())

    @property
    def nbytes(self) -> int:
        """Memory this set holds."""
        return self._starts.nbytes + self._lengths.nbytes

    def voxels(self) -> np.ndarray:
        """(N,) int64 ascending flat indices, as they were given."""
        ends = np.cumsum(self._lengths)
        return np.repeat(self._starts - (ends - self._lengths), self._lengths) + np.arange(len(self))
