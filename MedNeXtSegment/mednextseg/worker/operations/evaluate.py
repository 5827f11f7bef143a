"""Comparing a segment with its reference, and finding the slices to review."""

import logging
from dataclasses import asdict

import numpy as np

from mednextseg.errors import Cancelled
from mednextseg.geometry import Geometry
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.worker.operations import Context, Operation, required
from mednextseg.worker.operations.segment import opened_channels, opened_model, region_of

_log = logging.getLogger(__name__)


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


def confuse_structures(parameters: dict, context: Context) -> dict:
    """Say what became of each reference structure; masks as for "evaluate".

    Args:
        parameters: "references" and "predictions", lists of 4x4 voxel-to-RAS matrices; their arrays are the parameters "reference_0",
            "reference_1", ... and "prediction_0", ...
        context: of the request.
    Returns:
        "volumes_ml", one row for each reference: ml covered by each prediction, and by none of them.
    """
    sides = {"reference": parameters.get("references"), "prediction": parameters.get("predictions")}
    arrays = [f"{side}_{number}" for side, matrices in sides.items() for number in range(len(matrices or ()))]
    required(parameters, ["references", "predictions", *arrays])
    from mednextseg.evaluate.confusion import confusion_ml  # noqa: PLC0415

    def placed(side: str) -> list[tuple[np.ndarray, Geometry]]:
        masks = [context.arrays.take(parameters[f"{side}_{number}"]) for number in range(len(sides[side]))]
        return [(m, Geometry(m.shape, np.array(a, dtype=np.float64))) for m, a in zip(masks, sides[side], strict=True)]

    return {"volumes_ml": confusion_ml(placed("reference"), placed("prediction")).tolist()}


def review_slices(parameters: dict, context: Context) -> dict:
    """List the slices to review, where a model is least sure, of volumes that were opened before.

    Args:
        parameters: "volumes", "model", "roi", "recipe", "device" and "whole" as for "segment"; "count", how many slices at most; "gap_mm",
            how far slices of one label lie apart at least.
        context: of the request.
    Returns:
        "slices" [fields of mednextseg.evaluate.review.ReviewSlice], most uncertain first.
    """
    values = required(parameters, ["volumes", "model", "count", "gap_mm"], ["roi", "recipe", "device", "whole"])
    volume_ids, model_name, count, gap_mm, roi, recipe, device, whole = values
    from mednextseg.evaluate.review import predict_review_slices, worst_first_with_gap  # noqa: PLC0415

    def forward(fraction: float) -> None:
        if context.cancelled():
            raise Cancelled("The run was cancelled.")
        context.progress("network", fraction, None)

    model = opened_model(model_name, context.state)
    volume, geometry = opened_channels(volume_ids, context.state, _log.warning)
    segment_recipe = SegmentRecipe.from_dict(recipe or {})
    found = predict_review_slices(
        volume,
        geometry,
        model,
        region_of(roi),
        segment_recipe,
        device or "auto",
        forward,
        bool(whole),
        lambda name: opened_model(name, context.state),
    )
    return {"slices": [asdict(item) for item in worst_first_with_gap(found, count, gap_mm)]}


OPERATIONS: dict[str, Operation] = {
    "evaluate": evaluate_structure,
    "confusion": confuse_structures,
    "review_slices": review_slices,
}
