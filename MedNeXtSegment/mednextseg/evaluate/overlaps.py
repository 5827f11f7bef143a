"""Segmentations whose segments overlap, as one labelmap in which no voxel of any segment is lost."""

from pathlib import Path

import numpy as np

from mednextseg.labels.label import Label
from mednextseg.layered_segmentation import LayeredSegmentation, read_layered
from mednextseg.segmentation_io import Segmentation, merged


def read_whole_segments(path: str | Path) -> Segmentation:
    """Read a segmentation to compare it; ValueError and FileNotFoundError as `read_segmentation`.

    Returns:
        A labelmap in which a segment may have several numbers: where a file has several layers, every combination of overlapping
        segments is a number of its own, and `labels` has an entry for each segment and number.
    """
    layered = read_layered(path)
    return merged(layered) if len({segment.layer for segment in layered.segments}) <= 1 else _combined(layered)


def _combined(layered: LayeredSegmentation) -> Segmentation:
    shape_kji = layered.layers_kji.shape[1:]
    codes = np.zeros(shape_kji, dtype=np.int64)
    values_of_code = np.zeros((1, 0), dtype=np.int64)
    for layer_kji in layered.layers_kji:
        values, numbers = np.unique(layer_kji, return_inverse=True)
        pairs, codes = np.unique(codes * len(values) + numbers.reshape(shape_kji), return_inverse=True)
        codes = codes.reshape(shape_kji)
        before, here = np.divmod(pairs, len(values))
        values_of_code = np.column_stack([values_of_code[before], values[here]])
    labels = [
        Label(code + 1, segment.label.name, segment.label.color, segment.label.terminology)
        for segment in layered.segments
        for code in np.flatnonzero(values_of_code[:, segment.layer] == segment.label.value).tolist()
    ]
    empty = [
        Label(len(values_of_code) + 1, segment.label.name, segment.label.color, segment.label.terminology)
        for segment in layered.segments
        if segment.label.name not in {label.name for label in labels}
    ]
    used = np.isin(np.arange(1, len(values_of_code) + 1), [label.value for label in labels])
    numbers = np.where(used, np.arange(1, len(values_of_code) + 1), 0)
    return Segmentation(numbers.astype(np.int32)[codes], layered.geometry, (*labels, *empty))
