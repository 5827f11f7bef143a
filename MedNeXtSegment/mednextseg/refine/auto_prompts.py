"""Prompts made from what a segment has on a slice, as a user who sees it would give them. numpy and scipy only."""

import numpy as np
from scipy import ndimage

from mednextseg.refine.prompts import Prompts
from mednextseg.refine.propagation import widened_box

_MOST_PIECES = 5
_LEAST_SHARE = 0.05  # of the mask; smaller pieces are specks
_EIGHT_CONNECTED = np.ones((3, 3), bool)


def prompts_from(mask_rc: np.ndarray, kinds: tuple[str, ...]) -> Prompts:
    """A box around a mask, a bit wider, a click in the middle of each of its larger pieces, and the mask itself.

    Args:
        mask_rc: (H, W) probability; something of it is above one half.
        kinds: PrompterInfo.prompt_kinds; what is not among them is left out.
    """
    pieces = _larger_pieces(mask_rc > 0.5)
    middles = np.array([_middle(piece) for piece in pieces], float)
    prompts = Prompts(box=widened_box(np.any(pieces, axis=0)))
    if "point" in kinds:
        prompts = Prompts(middles, np.ones(len(middles)), prompts.box)
    return prompts.with_mask(mask_rc) if "mask" in kinds else prompts


def shape_between(first_rc: np.ndarray, last_rc: np.ndarray, share: float) -> np.ndarray:
    """(H, W) float32: the shape that lies `share` of the way from one mask to another, 0 or 1, by distances from their borders."""
    distances = [_signed_distance(mask > 0.5) for mask in (first_rc, last_rc)]
    return ((1 - share) * distances[0] + share * distances[1] > 0).astype(np.float32)


def _larger_pieces(mask_rc: np.ndarray) -> list[np.ndarray]:
    numbers, count = ndimage.label(mask_rc, _EIGHT_CONNECTED)
    areas = np.bincount(numbers.reshape(-1), minlength=count + 1)[1:]
    largest = np.argsort(-areas, kind="stable")[:_MOST_PIECES]
    return [numbers == number + 1 for number in largest if areas[number] >= _LEAST_SHARE * areas.sum()]


def _middle(piece_rc: np.ndarray) -> tuple[int, int]:
    """(row, col) where it is thickest."""
    depth = ndimage.distance_transform_edt(np.pad(piece_rc, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(row), int(col)


def _signed_distance(mask_rc: np.ndarray) -> np.ndarray:
    """Pixels to the border, positive inside."""
    return ndimage.distance_transform_edt(mask_rc) - ndimage.distance_transform_edt(~mask_rc)
