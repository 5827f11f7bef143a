"""What became of each reference structure: its volume by the predicted structure that covers it, for masks that may overlap."""

from collections.abc import Sequence

import numpy as np

from mednextseg.evaluate.mask_grids import on_grid
from mednextseg.geometry import Geometry

_MM3_PER_ML = 1000.0

PlacedMask = tuple[np.ndarray, Geometry]


def confusion_ml(references: Sequence[PlacedMask], predictions: Sequence[PlacedMask]) -> np.ndarray:
    """Volumes in common.

    Args:
        references, predictions: masks (K, J, I), each cut to its own box and with its Geometry; beyond it, a mask is empty.
    Returns:
        float64 (references, predictions + 1) in ml; the last column is what no prediction covers. Predictions that overlap count a
        voxel each.
    """
    volumes_ml = np.zeros((len(references), len(predictions) + 1))
    for row, (mask_kji, grid) in enumerate(references):
        reference = mask_kji > 0
        missed = reference.copy()
        for column, (other_kji, geometry) in enumerate(predictions):
            other, _ = on_grid(other_kji, geometry, grid)
            volumes_ml[row, column] = np.count_nonzero(other & reference)
            missed &= ~other
        volumes_ml[row, -1] = np.count_nonzero(missed)
        volumes_ml[row] *= grid.voxel_volume_mm3 / _MM3_PER_ML
    return volumes_ml
