"""Labels of an earlier stage as channels of the next one: what the second network of nnU-Net's cascades sees beside the image."""

from collections.abc import Sequence

import numpy as np

from mednextseg.segment.prepare.resampling import resize

_OUTSIDE = -1  # nnU-Net's name for what lies outside the image's nonzero region; a label of its own while labels are resized
_TIE = 1e-6


def label_channels(
    labels_kji: np.ndarray,
    nonzero_kji: np.ndarray | None,
    values: Sequence[int],
    shape_kji: Sequence[int],
    orders_kji: Sequence[int],
) -> np.ndarray:
    """One channel for each label: 1 where it is, else 0.

    nnU-Net's rule for labels (resize_segmentation of batchgenerators 0.25.5): of each label's membership, interpolated linearly, the
    largest wins; of equal ones the label of the nearest voxel, where it is among them, else the smallest.

    Args:
        labels_kji: labels of the stage before on the cropped grid of the image.
        nonzero_kji: bool, where the image is not zero, holes filled; what lies outside is a label of its own while labels are resized, as
            in nnU-Net v2. None for nnU-Net v1, where it is background.
        values: the labels, in the order of their channels.
        shape_kji: of the network's grid.
        orders_kji: 1 along axes that are interpolated, 0 where the nearest slice counts.
    Returns:
        float32 (labels, K, J, I) on the network's grid.
    """
    labels = labels_kji.astype(np.int16)
    if nonzero_kji is not None:
        labels[(labels == 0) & ~nonzero_kji] = _OUTSIDE
    if labels.shape != tuple(shape_kji):
        labels = _resized(labels, shape_kji, orders_kji)
    return np.stack([(labels == value).astype(np.float32) for value in values])


def _resized(labels: np.ndarray, shape_kji: Sequence[int], orders_kji: Sequence[int]) -> np.ndarray:
    nearest = resize(labels.astype(np.float32), shape_kji, (0, 0, 0)).astype(np.int16)
    winners, best = np.zeros_like(nearest), np.full(nearest.shape, -1, dtype=np.float32)
    score_of_nearest = np.zeros_like(best)
    for value in np.unique(labels):
        score = resize((labels == value).astype(np.float32), shape_kji, orders_kji)
        winners[score > best + _TIE] = value
        np.maximum(best, score, out=best)
        is_nearest = nearest == value
        score_of_nearest[is_nearest] = score[is_nearest]
    is_tied = score_of_nearest >= best - _TIE
    winners[is_tied] = nearest[is_tied]
    return winners
