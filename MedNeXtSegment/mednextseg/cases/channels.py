"""The channels of one case on one grid."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.resampling import resample_affine
from mednextseg.volume_io import read_volume

_SAME_GRID_MM = 1e-2


def read_channels(files: Sequence[Path]) -> tuple[np.ndarray, Geometry]:
    """Read one case from a file for each channel, in the model's order; result as `stacked_channels`, errors as `read_volume`."""
    return stacked_channels(read_volume(file) for file in files)


def stacked_channels(volumes: Iterable[tuple[np.ndarray, Geometry]]) -> tuple[np.ndarray, Geometry]:
    """Bring every channel onto the first one's grid.

    Args:
        volumes: (K, J, I) array and Geometry of each channel, in the model's order; at least one.
    Returns:
        The array as it came for one channel, else (channels, K, J, I) float32, linearly resampled where a grid differs; and the
        Geometry of the first channel.
    """
    first, *others = _on_first_grid(volumes)
    if not others:
        return first
    return np.stack([first[0].astype(np.float32), *(channel for channel, _ in others)]), first[1]


def _on_first_grid(volumes: Iterable[tuple[np.ndarray, Geometry]]) -> Iterable[tuple[np.ndarray, Geometry]]:
    """One after the other, so that a file's own voxels are given up before the next file is read."""
    geometry = None
    for volume_kji, grid in volumes:
        if geometry is None:
            geometry = grid
            yield volume_kji, grid
        elif grid.matches(geometry, _SAME_GRID_MM):
            yield volume_kji.astype(np.float32), geometry
        else:
            yield resample_affine(volume_kji, grid, geometry, order=1), geometry
