"""What the completing network sees: a cube of the image, the slices that are known in it, and what follows from them.

Axis 0 of the cube is the normal of the slices. The same code serves training and use.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mednextseg.refine.appearance import Appearance

CHANNELS = ("image", "inside", "outside", "shape", "looks")
_MOST_SPREADS = 2.0  # intensities are clipped so far from the middle of those in and around the object
_LOOK_SMOOTHING_PX = 0.5
_TAPER = 0.5  # voxels that the border is expected to move inwards with each voxel beyond a known slice
_SOFTNESS = 0.15  # of the object's length: so near to the expected border it is not sure


def network_channels(image_zyx: np.ndarray, known: Mapping[int, np.ndarray]) -> np.ndarray:
    """The input of the network.

    Args:
        image_zyx: (Z, Y, X) intensities of any scale, cubic voxels.
        known: {index along Z: (Y, X) probability of the object}, one of them with more than 0.5 somewhere.
    Returns:
        (5, Z, Y, X) float32, in the order of CHANNELS.
    """
    masks = {plane: np.asarray(part) > 0.5 for plane, part in known.items()}
    full = [plane for plane, mask in masks.items() if mask.any()]
    appearance = Appearance(image_zyx[full], np.stack([masks[plane] for plane in full]))
    middle, spread = appearance.middle, max(appearance.half_range, 1e-6)
    channels = np.zeros((len(CHANNELS), *image_zyx.shape), np.float32)
    channels[0] = np.clip((image_zyx - middle) / spread, -_MOST_SPREADS, _MOST_SPREADS)
    for plane, part in known.items():
        channels[1, plane], channels[2, plane] = part, 1 - part
    channels[3] = _expected_shape(masks, image_zyx.shape)
    channels[4] = appearance.log_odds(image_zyx, _LOOK_SMOOTHING_PX) / 2
    return channels


def _expected_shape(masks: Mapping[int, np.ndarray], shape_zyx: tuple[int, ...]) -> np.ndarray:
    """(Z, Y, X) between -1 (outside) and 1 (inside), by the shape alone: between known slices, and tapering beyond them."""
    length = float(max(longest_side(mask) for mask in masks.values() if mask.any()))
    depths = {plane: _depth(mask) if mask.any() else None for plane, mask in masks.items()}
    planes = np.array(sorted(masks))
    result = np.empty(shape_zyx, np.float32)
    for z in range(shape_zyx[0]):
        below, above = planes[planes <= z], planes[planes >= z]
        ends = [int(part) for part in (*below[-1:], *above[:1])]
        result[z] = _depth_at(z, ends, depths, length)
    return np.tanh(result / max(_SOFTNESS * length, 1.0))


def _depth_at(z: int, ends: list[int], depths: Mapping[int, np.ndarray | None], length: float) -> np.ndarray | float:
    full = [plane for plane in ends if depths[plane] is not None]
    if not full:
        return -length
    if len(ends) == 1:
        return depths[ends[0]] - _TAPER * abs(z - ends[0])
    share = (z - ends[0]) / max(ends[1] - ends[0], 1)
    if len(full) == 2:
        return (1 - share) * depths[ends[0]] + share * depths[ends[1]]
    away = share if full[0] == ends[0] else 1 - share  # it ends in between
    return depths[full[0]] - away * (depths[full[0]].max() + 1)


def longest_side(mask_rc: np.ndarray) -> int:
    """Pixels of the longer side of the box around a (H, W) bool mask that is not empty."""
    return int(max(np.ptp(np.flatnonzero(mask_rc.any(axis=axis))) + 1 for axis in (0, 1)))


def _depth(mask_rc: np.ndarray) -> np.ndarray:
    """To the border in pixels, positive inside."""
    return ndimage.distance_transform_edt(mask_rc) - ndimage.distance_transform_edt(~mask_rc)
