"""How well a segmentation agrees with a reference, label by label.

Rules for empty labels:
- neither has the label: Dice, IoU and surface Dice are 1 (nothing was to be found, nothing was found); distances are None.
- one has it, the other not: Dice, IoU and surface Dice are 0; distances are None, because no surface is there to measure to. A mean
  of distances therefore covers fewer cases than one of Dice, and reports state how many.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from scipy import ndimage

from mednextseg.evaluate.lesions import detect_lesions
from mednextseg.evaluate.surfaces import surface_agreement
from mednextseg.json_values import listed

BACKGROUND = "background"
_MM3_PER_ML = 1000.0

LabelValues = int | Sequence[int]


class LabelMetrics(TypedDict):
    """Agreement on one label; volumes in ml, distances in mm, None where a value is not defined.

    `volume_difference_ml` is prediction minus reference. `relative_volume_difference` is that over the reference.
    `predicted_as_ml` tells what the reference's voxels of this label became: a row of the confusion matrix.
    """

    dice: float
    iou: float
    nsd: float
    tolerance_mm: float
    hd95_mm: float | None
    assd_mm: float | None
    reference_ml: float
    prediction_ml: float
    volume_difference_ml: float
    relative_volume_difference: float | None
    reference_lesions: int
    found_lesions: int
    predicted_lesions: int
    correct_lesions: int
    lesion_recall: float | None
    lesion_precision: float | None
    predicted_as_ml: dict[str, float]


def evaluate_pair(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: Sequence[float],
    labels: Mapping[str, LabelValues] | Sequence[int],
    tolerances_mm: Mapping[str, float] | float,
    prediction_labels: Mapping[str, LabelValues] | None = None,
    axial_range: Collection[str] = (),
    axial_axis: int = 0,
) -> dict[str, LabelMetrics]:
    """Compare a prediction with a reference on the same grid.

    Args:
        reference, prediction: integer labelmaps (K, J, I) of the same shape.
        spacing: distance of voxel centers in mm along K, J, I.
        labels: name -> value, or values for a union, in the reference (and the prediction, unless `prediction_labels` is given);
            plain values name themselves.
        tolerances_mm: of the surface Dice, by name or one for all; a deviation up to it counts as correct.
        prediction_labels: name -> value(s) in the prediction where its numbers are others; the same names.
        axial_range: names of labels that are compared only from the first to the last slice (both included) that the reference
            marks, because references stop short of the organ's end (aorta, vena cava, esophagus).
        axial_axis: array axis that counts those slices.
    Returns:
        name -> LabelMetrics.
    Raises:
        ValueError: for grids that differ, spacing that is not three positive numbers, or a label without a tolerance.
    """
    labels = labels if isinstance(labels, Mapping) else _named_by_themselves(labels)
    prediction_labels = labels if prediction_labels is None else prediction_labels
    _check(reference, prediction, spacing, labels, prediction_labels)
    tolerances = _tolerance_by_name(labels, tolerances_mm)
    voxel_ml = float(np.prod(np.asarray(spacing, dtype=float))) / _MM3_PER_ML
    results = {}
    for name, values in labels.items():
        truth, predicted = _mask(reference, values), prediction
        if name in axial_range:
            kept = _labeled_slices(truth, axial_axis)
            truth, predicted = truth[kept], predicted[kept]
        guess = _mask(predicted, prediction_labels[name])
        results[name] = _label_metrics(truth, guess, spacing, tolerances[name], voxel_ml)
        results[name]["predicted_as_ml"] = _predicted_as(predicted[truth], prediction_labels, voxel_ml)
    return results


def error_map(reference_kji: np.ndarray, prediction_kji: np.ndarray) -> np.ndarray:
    """uint8 labelmap of two masks' disagreement: 1 false positive, 2 false negative, 0 where they agree."""
    errors = np.zeros(reference_kji.shape, dtype=np.uint8)
    errors[prediction_kji & ~reference_kji] = 1
    errors[reference_kji & ~prediction_kji] = 2
    return errors


def largest_error_kji(
    reference_kji: np.ndarray, prediction_kji: np.ndarray, spacing: Sequence[float]
) -> tuple[int, int, int] | None:
    """The voxel deepest inside the region where two masks disagree: the place to look at first; None where they agree."""
    wrong = reference_kji ^ prediction_kji
    boxes = ndimage.find_objects(wrong.astype(np.uint8))
    if not boxes:
        return None
    depth_mm = ndimage.distance_transform_edt(np.pad(wrong[boxes[0]], 1), sampling=spacing)
    deepest = np.unravel_index(int(depth_mm.argmax()), depth_mm.shape)
    k, j, i = (int(index) - 1 + part.start for index, part in zip(deepest, boxes[0], strict=True))
    return k, j, i


def _label_metrics(
    truth: np.ndarray, guess: np.ndarray, spacing: Sequence[float], tolerance_mm: float, voxel_ml: float
) -> LabelMetrics:
    box = ndimage.find_objects((truth | guess).astype(np.uint8))
    if box:
        truth, guess = truth[box[0]], guess[box[0]]
    reference, predicted = int(truth.sum()), int(guess.sum())
    common = int((truth & guess).sum())
    either = reference + predicted - common
    surfaces = surface_agreement(truth, guess, spacing, tolerance_mm) if reference and predicted else None
    lesions = detect_lesions(truth, guess)
    agree_on_nothing = 1.0 if either == 0 else 0.0
    return LabelMetrics(
        dice=2 * common / (reference + predicted) if either else agree_on_nothing,
        iou=common / either if either else agree_on_nothing,
        nsd=surfaces.nsd if surfaces else agree_on_nothing,
        tolerance_mm=tolerance_mm,
        hd95_mm=surfaces.hd95_mm if surfaces else None,
        assd_mm=surfaces.assd_mm if surfaces else None,
        reference_ml=reference * voxel_ml,
        prediction_ml=predicted * voxel_ml,
        volume_difference_ml=(predicted - reference) * voxel_ml,
        relative_volume_difference=(predicted - reference) / reference if reference else None,
        reference_lesions=lesions.reference,
        found_lesions=lesions.found,
        predicted_lesions=lesions.predicted,
        correct_lesions=lesions.correct,
        lesion_recall=lesions.recall,
        lesion_precision=lesions.precision,
        predicted_as_ml={},
    )


def _predicted_as(predicted: np.ndarray, labels: Mapping[str, LabelValues], voxel_ml: float) -> dict[str, float]:
    """Where the voxels of one reference label went, from the (n,) values predicted there; unions may count a voxel twice."""
    values, counts = np.unique(predicted, return_counts=True)
    row = {name: float(counts[_mask(values, own)].sum() * voxel_ml) for name, own in labels.items()}
    named = np.isin(values, [value for own in labels.values() for value in np.atleast_1d(own)])
    return {**row, BACKGROUND: float(counts[~named].sum() * voxel_ml)}


def _labeled_slices(mask: np.ndarray, axis: int) -> tuple[slice, ...]:
    """Everything from the first to the last slice with a labeled voxel, both included; all slices for an empty mask."""
    labeled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    if not labeled.size:
        return (slice(None),)
    return (*(slice(None),) * axis, slice(int(labeled[0]), int(labeled[-1]) + 1))


def _named_by_themselves(values: Sequence[int]) -> Mapping[Any, LabelValues]:
    return {value: value for value in values}


def _mask(labelmap: np.ndarray, values: LabelValues) -> np.ndarray:
    return labelmap == values if np.isscalar(values) else np.isin(labelmap, np.atleast_1d(values))


def _tolerance_by_name(names: Collection[str], tolerances_mm: Mapping[str, float] | float) -> dict[str, float]:
    if not isinstance(tolerances_mm, Mapping):
        return dict.fromkeys(names, float(tolerances_mm))
    missing = [str(name) for name in names if name not in tolerances_mm]
    if missing:
        raise ValueError(f"the tolerances lack {listed(missing)}; give one in mm for each label, by name.")
    return {name: float(tolerances_mm[name]) for name in names}


def _check(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing: Sequence[float],
    labels: Mapping[str, LabelValues],
    prediction_labels: Mapping[str, LabelValues],
) -> None:
    if reference.shape != prediction.shape or reference.ndim != 3:
        raise ValueError(
            f"reference {reference.shape} and prediction {prediction.shape} must be 3D labelmaps on one grid; resample one first."
        )
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise ValueError(f"the spacing must be three positive numbers (K, J, I in mm), got {tuple(spacing)}.")
    if set(labels) != set(prediction_labels):
        raise ValueError(f"both sides need the same label names, got {sorted(labels)} and {sorted(prediction_labels)}.")
    if not labels:
        raise ValueError("there is no label to compare; name at least one.")
