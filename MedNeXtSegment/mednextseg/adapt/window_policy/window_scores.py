"""How good an answer for a window would have been, and which is the cheapest one that is good enough."""

import numpy as np

from mednextseg.segment.windows.layout import WindowGrid
from mednextseg.segment.windows.running_sum import WINDOW_WEIGHTS

# Of a window's voxels: what is smaller than a few of these does not make a window worth looking at.
_NEGLIGIBLE = 1e-3


def window_shares(grid: WindowGrid, weights: str) -> np.ndarray:
    """float32 (windows, K, J, I): what a window counts for in the average at each of its voxels, in the order of the grid."""
    of_window = WINDOW_WEIGHTS[weights](grid.patch_kji).numpy()
    total = np.zeros(grid.shape_kji, dtype=np.float32)
    for window in grid.windows:
        total[window.slices(grid.patch_kji)] += of_window
    return np.stack([of_window / total[window.slices(grid.patch_kji)] for window in grid.windows])


def window_dice(answer_kji: np.ndarray, right_kji: np.ndarray, shares_kji: np.ndarray) -> float:
    """Dice of all labels together where voxels count by the window's share in them; 1 where neither has any.

    A thousandth of the window is added above and below the line, so that a corner of a structure, in which other windows count for
    more, does not decide.
    """
    extra = _NEGLIGIBLE * answer_kji.size
    agreeing = float(shares_kji[(answer_kji == right_kji) & (right_kji > 0)].sum())
    found, there = float(shares_kji[answer_kji > 0].sum()), float(shares_kji[right_kji > 0].sum())
    return (2 * agreeing + extra) / (found + there + extra)


def cheapest_good_enough(scores: np.ndarray, epsilon: float) -> np.ndarray:
    """int (windows,): the first option whose score is at least the best one's less epsilon.

    Args:
        scores: (windows, options), from the cheapest to the dearest option.
        epsilon: 0 for the best, 1 for the cheapest.
    """
    return np.argmax(scores >= scores.max(axis=1, keepdims=True) - epsilon, axis=1)
