"""Labels that overlap: a layer for each, (layers, K, J, I), in which voxels have the label's number or 0.

Numbers differ from layer to layer, so that `layers == number` finds a label wherever it lies, as it does in a labelmap.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mednextseg.labels.label import Label


def layers_of(bits_kji: np.ndarray, labels: Sequence[Label]) -> np.ndarray:
    """Numbers whose bit n says whether a voxel belongs to the n-th label -> a layer for each label, in their order."""
    dtype = np.uint8 if max(label.value for label in labels) <= np.iinfo(np.uint8).max else np.int16
    layers = np.empty((len(labels), *bits_kji.shape), dtype=dtype)
    for bit, (layer_kji, label) in enumerate(zip(layers, labels, strict=True)):
        np.multiply((bits_kji >> bits_kji.dtype.type(bit)) & 1, label.value, out=layer_kji, casting="unsafe")
    return layers


def in_each_layer(change: Callable[[np.ndarray], np.ndarray], labels_kji: np.ndarray) -> np.ndarray:
    """A change of a labelmap (K, J, I), made to it or to each layer (layers, K, J, I) by itself."""
    return change(labels_kji) if labels_kji.ndim == 3 else np.stack([change(layer_kji) for layer_kji in labels_kji])


def only(labels_kji: np.ndarray, labels: Sequence[Label], kept: Sequence[Label]) -> np.ndarray:
    """Without all other labels: in a labelmap, which is changed, they become background; their layers are left out.

    Args:
        labels_kji: labelmap, or a layer for each of `labels`.
        labels: of the model; kept: those that are wanted.
    """
    if labels_kji.ndim == 4:
        return labels_kji[[labels.index(label) for label in kept]]
    if len(kept) < len(labels):
        labels_kji[~np.isin(labels_kji, [label.value for label in kept])] = 0
    return labels_kji
