"""One structure from two masks that each cover only their own box: what the panel asks for, segment by segment.

Segments of one segmentation may overlap, so they are compared as masks and not as one labelmap.
"""

from dataclasses import dataclass

import numpy as np

from mednextseg.evaluate.case import CaseResult, evaluate_case
from mednextseg.evaluate.mask_grids import joint_grid, on_grid
from mednextseg.evaluate.metrics import error_map
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import Segmentation

_RESAMPLED = "The test segment lies on another voxel grid; it was resampled onto the reference's."


@dataclass(frozen=True)
class StructureComparison:
    """What was measured on one structure, and where its errors lie.

    Attributes:
        result: metrics, the place of the largest error and notes of the one structure.
        errors_kji: uint8, 1 false positive, 2 false negative; on the reference's lattice, extended to hold both masks.
        geometry: of errors_kji.
    """

    result: CaseResult
    errors_kji: np.ndarray
    geometry: Geometry


def compare_structure(
    name: str,
    reference_kji: np.ndarray,
    reference_geometry: Geometry,
    prediction_kji: np.ndarray,
    prediction_geometry: Geometry,
) -> StructureComparison:
    """Measure one structure; beyond its box, a mask is empty.

    Args:
        name: of the structure; decides on the tolerance of the surface Dice and on the slices that are judged.
        reference_kji, prediction_kji: masks (K, J, I), each on its own grid; either may be empty.
        reference_geometry, prediction_geometry: of the masks.
    """
    grid = joint_grid(reference_geometry, prediction_geometry, prediction_kji)
    reference, _ = on_grid(reference_kji, reference_geometry, grid)
    prediction, is_resampled = on_grid(prediction_kji, prediction_geometry, grid)
    labels = (Label(1, name, (128, 128, 128)),)
    sides = (Segmentation(mask_kji.astype(np.uint8), grid, labels) for mask_kji in (reference, prediction))
    result = evaluate_case(name, *sides)
    if is_resampled:
        result = CaseResult(name, result.labels, result.largest_error_ras, (_RESAMPLED, *result.notes))
    return StructureComparison(result, error_map(reference, prediction), grid)
