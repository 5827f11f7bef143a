"""The channels of one case on one grid."""

from collections.abc import Sequence

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.segment.prepare.resampling import resample_affine

_SAME_GRID_MM = 1e-2


def stacked_channels(volumes: Sequence[tuple[np.ndarray, Geometry]]) -> tuple[np.ndarray, Geometry]:
    """Bring every channel onto the first one's grid.

    Args:
        volumes: (K, J, I) array and Geometry of each channel, in the model's order.
    Returns:
        The array as it came for one channel, else (channels, K, J, I) float32, linearly resampled where a grid differs; and the
        Geometry of the first channel.
    """
    first_kji, geometry = volumes[0]
    if len(volumes) == 1:
        return first_kji, geometry
    channels = [first_kji.astype(np.float32)]
    for other_kji, other in volumes[1:]:
        aligned = other.matches(geometry, _SAME_GRID_MM)
        channels.append(other_kji.astype(np.float32) if aligned else resample_affine(other_kji, other, geometry, order=1))
    return np.stack(channels), geometry
