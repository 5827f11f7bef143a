"""The channels of one case on one grid."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.resampling import resample_affine
from mednextseg.volume_io import read_volume

_log = logging.getLogger(__name__)
_SAME_GRID_MM = 1e-2
# A voxel reaches half a voxel beyond its center; headers round.
_REACH_VOXELS = 0.501


def read_channels(
    files: Sequence[Path], note: Callable[[str], None] = _log.warning, time_point: int | None = None
) -> tuple[np.ndarray, Geometry]:
    """Read one case from a file for each channel, in the model's order; result as `stacked_channels`, time point and errors as there
    and in `read_volume`."""
    return stacked_channels((read_volume(file, time_point) for file in files), note)


def stacked_channels(
    volumes: Iterable[tuple[np.ndarray, Geometry]], note: Callable[[str], None] = _log.warning
) -> tuple[np.ndarray, Geometry]:
    """Bring every channel onto the first one's grid.

    Args:
        volumes: (K, J, I) array and Geometry of each channel, in the model's order; at least one.
        note: called with a sentence for each channel that is resampled.
    Returns:
        The array as it came for one channel, else (channels, K, J, I) float32, linearly resampled where a grid differs; and the
        Geometry of the first channel.
    Raises:
        ValueError: where a channel does not cover the first.
    """
    first, *others = _on_first_grid(volumes, note)
    if not others:
        return first
    return np.stack([first[0].astype(np.float32), *(channel for channel, _ in others)]), first[1]


def _on_first_grid(
    volumes: Iterable[tuple[np.ndarray, Geometry]], note: Callable[[str], None]
) -> Iterable[tuple[np.ndarray, Geometry]]:
    """One after the other, so that a file's own voxels are given up before the next file is read."""
    geometry = None
    for number, (volume_kji, grid) in enumerate(volumes, start=1):
        if geometry is None:
            geometry = grid
            yield volume_kji, grid
        elif grid.matches(geometry, _SAME_GRID_MM):
            yield volume_kji.astype(np.float32), geometry
        else:
            if (beyond_mm := _reach_beyond_mm(geometry, grid)) > 0:
                raise ValueError(
                    f"channel {number} does not cover channel 1, which reaches {beyond_mm:.1f} mm beyond it; give channels of the same "
                    "region, or cut the first one down to what all of them show."
                )
            note(f"Channel {number} lies on another grid ({grid}) than channel 1 ({geometry}); it was resampled onto that.")
            yield resample_affine(volume_kji, grid, geometry, order=1), geometry


def _reach_beyond_mm(first: Geometry, other: Geometry) -> float:
    """How far voxel centers of the first grid lie outside the voxels of the other, along the axis where it is farthest; 0 for inside."""
    corners_ijk = other.ijk_from_ras(first.corners_ras())
    outside = np.maximum(-_REACH_VOXELS - corners_ijk, corners_ijk - (np.array(other.shape_ijk) - 1 + _REACH_VOXELS))
    return float(max(0.0, (outside * other.spacing_ijk_mm).max()))
