"""How an object looks on the slice that the user saw: which intensities it has and which its surroundings have.

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
    """Intensities in and around a mask.

    Args:
        image_rc: (H, W) intensities, on the scale of every slice that will be asked about.
        mask_rc: (H, W) bool, not empty.
    """

    def __init__(self, image_rc: np.ndarray, mask_rc: np.ndarray) -> None:
        width = max(_LEAST_RING_PX, int(_RING_SHARE * np.sqrt(mask_rc.sum())))
        around = ndimage.binary_dilation(mask_rc, iterations=width) & ~mask_rc
        inside, outside = image_rc[mask_rc], image_rc[around]
        self._mean, self._deviation = float(inside.mean()), max(float(inside.std()), _LEAST_DEVIATION)
        self._usual = np.percentile(inside, _USUAL_PERCENT)
        low, high = np.percentile(image_rc[mask_rc | around], (0.5, 99.5))
        self._edges = np.linspace(low, high, _BINS + 1)[1:-1]
        self._log_odds = np.log(self._shares(inside) / self._shares(outside)) if outside.size else np.zeros(_BINS)

    def _shares(self, values: np.ndarray) -> np.ndarray:
        counts = np.bincount(np.digitize(values, self._edges), minlength=_BINS).astype(float)
        smooth = ndimage.gaussian_filter1d(counts, 1.0, mode="nearest") + _PRIOR_SHARE * values.size / _BINS
        return smooth / smooth.sum()

    def log_odds(self, image_rc: np.ndarray) -> np.ndarray:
        """(H, W) how much the intensities around each pixel speak for the object."""
        smooth = ndimage.gaussian_filter(self._log_odds[np.digitize(image_rc, self._edges)], _SMOOTHING_PX)
        return np.clip(smooth, _LEAST_LOG_ODDS, _MOST_LOG_ODDS)

    def usual_share(self, image_rc: np.ndarray, mask_rc: np.ndarray) -> float:
        """The share of a mask's pixels whose intensity nine of ten pixels of the object have."""
        values = image_rc[mask_rc]
        return float(((values >= self._usual[0]) & (values <= self._usual[1])).mean())

    def sigmas_off(self, image_rc: np.ndarray, mask_rc: np.ndarray) -> float:
        """How far a mask's mean intensity lies from the object's, in its standard deviations."""
        return abs(float(image_rc[mask_rc].mean()) - self._mean) / self._deviation
