"""Comparing a segment with its reference."""

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.worker.operations import Context, Operation, required


def evaluate_structure(parameters: dict, context: Context) -> dict:
    """Measure one structure, given as two masks that each cover only their own box.

    Args:
        parameters: "name" of the structure, "reference" and "prediction" arrays (K, J, I), "reference_ijk_to_ras" and
            "prediction_ijk_to_ras" 4x4.
        context: of the request.
    Returns:
        "metrics" (fields of mednextseg.evaluate.metrics.LabelMetrics), "largest_error_ras" in mm or None, "notes";
        "errors" array (K, J, I), 1 false positive, 2 false negative, with "errors_ijk_to_ras".
    """
    names = ["name", "reference", "reference_ijk_to_ras", "prediction", "prediction_ijk_to_ras"]
    name, reference, reference_ijk_to_ras, prediction, prediction_ijk_to_ras = required(parameters, names)
    masks = [context.arrays.take(array) for array in (reference, prediction)]
    matrices = (reference_ijk_to_ras, prediction_ijk_to_ras)
    geometries = [Geometry(m.shape, np.array(a, dtype=np.float64)) for m, a in zip(masks, matrices, strict=True)]
    context.progress("evaluate", 0.0, None)
    # Only here: the metrics take seconds to import, and a worker that only segments need not wait for them.
    from mednextseg.evaluate.structure import compare_structure  # noqa: PLC0415

    compared = compare_structure(name, masks[0], geometries[0], masks[1], geometries[1])
    return {
        "metrics": compared.result.labels[name],
        "largest_error_ras": compared.result.largest_error_ras[name],
        "notes": list(compared.result.notes),
        "errors": compared.errors_kji,
        "errors_ijk_to_ras": compared.geometry.ijk_to_ras.tolist(),
    }


OPERATIONS: dict[str, Operation] = {"evaluate": evaluate_structure}
