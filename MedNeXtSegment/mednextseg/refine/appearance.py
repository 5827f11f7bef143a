"""How an object looks on the slices that the user saw: which intensities it has and which its surroundings have.

Networks that are given the mask of the slice before follow it wherever it goes, so the mask creeps outwards and does not end where the
object does. What the user confirmed on one slice says more about the others than that.
"""

import numpy as np
from scipy import ndimage

_BINS, _LEAST_RING_PX = 16, 3
# Of the surroundings: a ring as wide as a quarter of the object's size.
_RING_SHARE = 0.25
_SMOOTHING_PX = 1.0
# A single intensity may speak against the object more than for it: what looks like the object is often its neighbor.
_LEAST_LOG_ODDS, _MOST_LOG_ODDS = -4.0, 2.0
_USUAL_PERCENT = (5.0, 95.0)
# A bin that nothing fell into is rare, not impossible.
_PRIOR_SHARE = 0.02
# Of intensities between 0 (black) and 1 (white): an object of one value is not lost for a hair.
_LEAST_DEVIATION = 0.02


class Appearance:
    """Intensities in and around masks.

    Args:
        images: (H, W) or (N, H, W) intensities, on the scale of every slice that will be asked about.
        masks: bool, of that shape; none of them empty.

    Attributes:
        spread: how much intensities vary within the object and within its surroundings, the mean of both standard deviations.
        middle, half_range: of the intensities in and around it.
    """

    def __init__(self, images: np.ndarray, masks: np.ndarray) -> None:
        around = np.array([_around(mask_rc) for mask_rc in masks.reshape(-1, *masks.shape[-2:])]).reshape(masks.shape)
        inside, outside = images[masks], images[around]
        self.spread = float(np.mean([values.std() for values in (inside, outside) if values.size]))
        self._mean, self._deviation = float(inside.mean()), max(float(inside.std()), _LEAST_DEVIATION)
        self._usual = np.percentile(inside, _USUAL_PERCENT)
        low, high = np.percentile(images[masks | around], (0.5, 99.5))
        self.middle, self.half_range = float(low + high) / 2, float(high - low) / 2
        self._edges = np.linspace(low, high, _BINS + 1)[1:-1]
        self._log_odds = np.log(self._shares(inside) / self._shares(outside)) if outside.size else np.zeros(_BINS)

    def _shares(self, values: np.ndarray) -> np.ndarray:
        counts = np.bincount(np.digitize(values, self._edges), minlength=_BINS).astype(float)
        smooth = ndimage.gaussian_filter1d(counts, 1.0, mode="nearest") + _PRIOR_SHARE * values.size / _BINS
        return smooth / smooth.sum()

    def log_odds(self, images: np.ndarray, smoothing_px: float = _SMOOTHING_PX) -> np.ndarray:
        """How much the intensities around each pixel of (H, W) or (N, H, W) speak for the object; smoothed on each slice."""
        odds = self._log_odds[np.digitize(images, self._edges)]
        smooth = ndimage.gaussian_filter(odds, (0,) * (odds.ndim - 2) + (smoothing_px, smoothing_px))
        return np.clip(smooth, _LEAST_LOG_ODDS, _MOST_LOG_ODDS)

    def usual_share(self, image_rc: np.ndarray, mask_rc: np.ndarray) -> float:
        """The share of a mask's pixels whose intensity nine of ten pixels of the object have."""
        values = image_rc[mask_rc]
        return float(((values >= self._usual[0]) & (values <= self._usual[1])).mean())

    def sigmas_off(self, image_rc: np.ndarray, mask_rc: np.ndarray) -> float:
        """How far a mask's mean intensity lies from the object's, in its standard deviations."""
        return abs(float(image_rc[mask_rc].mean()) - self._mean) / self._deviation


def _around(mask_rc: np.ndarray) -> np.ndarray:
    width = max(_LEAST_RING_PX, int(_RING_SHARE * np.sqrt(mask_rc.sum())))
    return ndimage.binary_dilation(mask_rc, iterations=width) & ~mask_rc
