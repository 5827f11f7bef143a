"""What the completing network sees: a cube of the image, the slices that are known in it, and what follows from them.

Axis 0 of the cube is the normal of the slices. The same code serves training and use.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mednextseg.refine.appearance import Appearance
from mednextseg.refine.prompts import Prompts

CHANNELS = ("image", "inside", "outside", "shape", "looks")
NO_CLICKS = np.zeros((0, 4))
_MOST_SPREADS = 2.0  # intensities are clipped so far from the middle of those in and around the object
_LOOK_SMOOTHING_PX = 0.5
_TAPER = 0.5  # voxels that the border is expected to move inwards with each voxel beyond a known slice
_SOFTNESS = 0.15  # of the object's length: so near to the expected border it is not sure
_CLICK_RADIUS = 1.6  # voxels around a click that are told as sure


def network_channels(image_zyx: np.ndarray, known: Mapping[int, np.ndarray], clicks_zyx: np.ndarray = NO_CLICKS) -> np.ndarray:
    """The input of the network.

    Args:
        image_zyx: (Z, Y, X) intensities of any scale, cubic voxels.
        known: {index along Z: (Y, X) probability of the object}, one of them with more than 0.5 somewhere.
        clicks_zyx: (N, 4) indices (z, y, x) of what the user said, and 1 for object or 0; a slice around a click may be wrong, the click
            is not, so that it counts twice in the channel it belongs to.
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
    for place, label in zip(clicks_zyx[:, :3], clicks_zyx[:, 3], strict=True):
        _add_ball(channels[1 if label > 0 else 2], place)
    np.minimum(channels[1:3], 2, out=channels[1:3])
    channels[3] = _expected_shape(masks, image_zyx.shape)
    channels[4] = appearance.log_odds(image_zyx, _LOOK_SMOOTHING_PX) / 2
    return channels


def _add_ball(channel_zyx: np.ndarray, center_zyx: np.ndarray) -> None:
    low = np.maximum(np.ceil(center_zyx - _CLICK_RADIUS), 0).astype(int)
    high = np.minimum(np.floor(center_zyx + _CLICK_RADIUS) + 1, channel_zyx.shape).astype(int)
    if (low < high).all():
        block = tuple(slice(first, stop) for first, stop in zip(low, high, strict=True))
        z, y, x = (np.arange(first, stop) - place for first, stop, place in zip(low, high, center_zyx, strict=True))
        away = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
        channel_zyx[block] += away <= _CLICK_RADIUS**2


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


def said_points(prompts: Prompts, step_px: float) -> np.ndarray:
    """(N, 3) row, column and 1 for object or 0, of clicks and of points of scribbles so far apart; boxes and lassos are less sure."""
    lines = [(stroke.sampled_rc(step_px), stroke.is_positive) for stroke in prompts.scribbles]
    points = np.concatenate([prompts.points_rc, *(line for line, _is_positive in lines)])
    labels = np.concatenate([prompts.labels, *(np.full(len(line), is_positive) for line, is_positive in lines)])
    return np.column_stack([points, labels])
