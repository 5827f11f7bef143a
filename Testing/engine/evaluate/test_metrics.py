"""Agreement of two labelmaps: closed forms, the rules for empty labels, and independent computations."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from scipy.spatial.distance import cdist

from mednextseg.evaluate.metrics import error_map, evaluate_pair, largest_error_kji


def cube(start_kji: tuple[int, int, int], edge: int = 8, shape: tuple[int, int, int] = (24, 24, 24)) -> np.ndarray:
    labelmap = np.zeros(shape, dtype=np.uint8)
    labelmap[tuple(slice(s, s + edge) for s in start_kji)] = 1
    return labelmap


def ball(radius_mm: float, spacing_kji_mm: tuple[float, float, float], extent_mm: float = 48.0) -> np.ndarray:
    axes = [(np.arange(round(extent_mm / s)) + 0.5) * s - extent_mm / 2 for s in spacing_kji_mm]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    return (k**2 + j**2 + i**2 <= radius_mm**2).astype(np.uint8)


def blobs(seed: int, shape: tuple[int, int, int] = (14, 16, 18), labels: int = 3) -> np.ndarray:
    """A smooth random labelmap with every label."""
    coarse = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, labels + 1, 4, 4, 4)))
    return torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear").argmax(1)[0].numpy().astype(np.uint8)


def one(reference: np.ndarray, prediction: np.ndarray, spacing: tuple = (1.0, 1.0, 1.0), tolerance: float = 1.0) -> dict:
    return evaluate_pair(reference, prediction, spacing, {"organ": 1}, tolerance)["organ"]


@pytest.mark.filterwarnings("error")
def test_identical_masks_score_perfectly() -> None:
    result = one(cube((4, 5, 6)), cube((4, 5, 6)), (2.5, 0.7, 0.7))
    assert (result["dice"], result["iou"], result["nsd"], result["hd95_mm"], result["assd_mm"]) == (1, 1, 1, 0, 0)
    assert result["volume_difference_ml"] == 0
    assert result["reference_ml"] == pytest.approx(8**3 * 2.5 * 0.7 * 0.7 / 1000)


@given(
    shift=st.integers(1, 7),
    axis=st.integers(0, 2),
    spacing=st.tuples(*[st.sampled_from([0.5, 0.7, 0.8, 1.0, 1.25, 3.0, 5.0])] * 3),
)
@settings(max_examples=12, deadline=None)
def test_a_shifted_cube_has_the_closed_form_dice_and_distance(shift: int, axis: int, spacing: tuple) -> None:
    start = [6, 6, 6]
    start[axis] += shift
    distance_mm = shift * spacing[axis]
    result = one(cube((6, 6, 6)), cube(tuple(start)), spacing, tolerance=distance_mm)
    assert result["nsd"] == pytest.approx(1)
    assert result["dice"] == pytest.approx((8 - shift) / 8)
    assert result["iou"] == pytest.approx((8 - shift) / (8 + shift))
    assert result["volume_difference_ml"] == 0
    assert result["hd95_mm"] == pytest.approx(distance_mm)
    assert one(cube((6, 6, 6)), cube(tuple(start)), spacing, tolerance=distance_mm * 0.9)["nsd"] < 1


def _edge(labelmap: np.ndarray) -> np.ndarray:
    inner = sitk.GetArrayFromImage(
        sitk.BinaryErode(sitk.GetImageFromArray(labelmap), [1, 1, 1], sitk.sitkCross, 0.0, 1.0, False)
    )
    return (labelmap == 1) & (inner == 0)


def test_the_hausdorff_distance_of_a_cube_moved_along_a_coarse_axis_uses_the_spacing() -> None:
    result = one(cube((6, 6, 6)), cube((8, 6, 6)), (5.0, 1.0, 1.0))
    assert result["hd95_mm"] == pytest.approx(10.0)
    assert one(cube((6, 6, 6)), cube((6, 6, 8)), (5.0, 1.0, 1.0))["hd95_mm"] == pytest.approx(2.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8)])
def test_concentric_balls_have_the_closed_form_dice_volumes_and_distances(spacing: tuple[float, float, float]) -> None:
    inner_mm, outer_mm = 14.0, 18.0
    result = one(ball(outer_mm, spacing), ball(inner_mm, spacing), spacing, tolerance=2.0)
    cubes = (inner_mm / outer_mm) ** 3
    assert result["dice"] == pytest.approx(2 * cubes / (1 + cubes), abs=0.01)
    assert result["relative_volume_difference"] == pytest.approx(cubes - 1, abs=0.01)
    assert result["reference_ml"] == pytest.approx(4 / 3 * math.pi * outer_mm**3 / 1000, rel=0.01)
    half_step = max(spacing) / 2  # the surface is seen in steps of a voxel
    assert result["assd_mm"] == pytest.approx(outer_mm - inner_mm, abs=half_step)
    assert result["hd95_mm"] == pytest.approx(outer_mm - inner_mm, abs=half_step)
    assert result["nsd"] == pytest.approx(0, abs=0.02)
    assert one(ball(outer_mm, spacing), ball(inner_mm, spacing), spacing, tolerance=4.0 + half_step)["nsd"] > 0.98


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
@pytest.mark.parametrize("tolerance_mm", [3, 6])
def test_a_shifted_cube_has_the_closed_form_surface_dice(spacing: tuple[float, float, float], tolerance_mm: int) -> None:
    edge_mm, shift_mm = 40, 8
    shape = tuple(round(extent / s) for extent, s in zip((44, 44, 56), spacing, strict=True))
    cubes = np.zeros((2, *shape), dtype=np.uint8)
    for mask, start_mm in zip(cubes, ((2, 2, 2), (2, 2, 2 + shift_mm)), strict=True):
        mask[tuple(slice(round(m / s), round((m + edge_mm) / s)) for m, s in zip(start_mm, spacing, strict=True))] = 1
    # Of each cube's six faces: the sides as far as the other reaches and the tolerance beyond; of the end face inside the other, the
    # rim that lies near the other's sides; nothing of the end face outside.
    sides_mm2 = 4 * edge_mm * (edge_mm - shift_mm + tolerance_mm)
    rim_mm2 = edge_mm**2 - (edge_mm - 2 * tolerance_mm) ** 2
    expected = (sides_mm2 + rim_mm2) / (6 * edge_mm**2)
    steps = 0.02 * max(spacing)  # the surface is seen in steps of a voxel
    assert one(*cubes, spacing, tolerance=tolerance_mm)["nsd"] == pytest.approx(expected, abs=steps)


@pytest.mark.parametrize(("reference", "prediction", "score"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0)])
def test_empty_labels_follow_the_stated_rules(reference: int, prediction: int, score: float) -> None:
    result = one(cube((4, 4, 4)) * reference, cube((4, 4, 4)) * prediction)
    assert (result["dice"], result["iou"], result["nsd"]) == (score, score, score)
    assert result["hd95_mm"] is None
    assert result["assd_mm"] is None
    assert (result["relative_volume_difference"] is None) == (reference == 0)
    assert (result["lesion_recall"], result["lesion_precision"]) == (0 if reference else None, 0 if prediction else None)


@given(seed=st.integers(0, 10_000), axes=st.permutations(range(3)), flip=st.sets(st.integers(0, 2)))
@settings(max_examples=6, deadline=None)
def test_metrics_do_not_depend_on_the_order_or_direction_of_the_axes(seed: int, axes: list[int], flip: set[int]) -> None:
    spacing = (3.0, 0.7, 1.1)
    labels = {"a": 1, "b": 2, "a and c": (1, 3)}
    plain = evaluate_pair(blobs(seed), blobs(seed + 1), spacing, labels, 1.5)
    turned = [np.flip(blobs(s).transpose(axes), list(flip)) for s in (seed, seed + 1)]
    again = evaluate_pair(*turned, tuple(spacing[axis] for axis in axes), labels, 1.5)
    for name in labels:
        for metric in ("dice", "iou", "nsd", "hd95_mm", "assd_mm", "volume_difference_ml", "lesion_recall"):
            assert again[name][metric] == pytest.approx(plain[name][metric], rel=1e-5), (name, metric)


def test_renumbering_one_side_with_its_table_changes_nothing() -> None:
    reference, prediction = blobs(1), blobs(2)
    renumbered = np.array([0, 30, 10, 20])[prediction]
    labels = {"a": 1, "b": 2, "c": 3}
    plain = evaluate_pair(reference, prediction, (1, 1, 1), labels, 1.0)
    assert evaluate_pair(reference, renumbered, (1, 1, 1), labels, 1.0, {"a": 30, "b": 10, "c": 20}) == plain


def test_dice_and_volumes_agree_with_simpleitk() -> None:
    reference, prediction = blobs(3), blobs(4)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(reference), sitk.GetImageFromArray(prediction))
    for name, result in evaluate_pair(reference, prediction, (2.0, 1.0, 0.5), {"a": 1, "b": 2, "c": 3}, 1.0).items():
        value = {"a": 1, "b": 2, "c": 3}[name]
        assert result["dice"] == pytest.approx(overlap.GetDiceCoefficient(value))
        assert result["iou"] == pytest.approx(overlap.GetJaccardCoefficient(value))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.8)])
def test_surface_metrics_agree_with_monai_and_with_brute_force(spacing: tuple[float, float, float]) -> None:
    for seed in range(3):
        masks = [blobs(seed * 2 + n) == 1 for n in (0, 1)]
        result = one(*[mask.astype(np.uint8) for mask in masks], spacing, tolerance=2.0)
        truth, guess = (torch.from_numpy(mask)[None, None].float() for mask in masks)
        common = {"include_background": True, "spacing": list(spacing)}
        nsd = compute_surface_dice(guess, truth, [2.0001], use_subvoxels=True, **common)
        assert result["nsd"] == pytest.approx(float(nsd), abs=1e-5)
        hd95 = compute_hausdorff_distance(guess, truth, percentile=95, **common)
        assert result["hd95_mm"] == pytest.approx(float(hd95), abs=1e-4)
        assd = compute_average_surface_distance(guess, truth, symmetric=True, **common)
        assert result["assd_mm"] == pytest.approx(float(assd), abs=1e-4)
        points = [np.argwhere(_edge(mask.astype(np.uint8))) * spacing for mask in masks]
        between = cdist(*points)
        assert result["hd95_mm"] == pytest.approx(max(np.percentile(between.min(axis=a), 95) for a in (0, 1)), abs=1e-4)
        brute = np.concatenate([between.min(axis=0), between.min(axis=1)]).mean()
        assert result["assd_mm"] == pytest.approx(brute, abs=1e-4)


def test_an_organ_cut_by_the_border_of_the_image_has_a_surface_there() -> None:
    half = np.zeros((10, 10, 10), dtype=np.uint8)
    half[:, :, :5] = 1
    grown = np.zeros_like(half)
    grown[:, :, :7] = 1
    assert one(half, half)["nsd"] == 1
    assert one(half, grown, tolerance=2.0)["nsd"] == pytest.approx(1)
    assert one(half, grown, tolerance=1.0)["nsd"] < 1


def test_lesions_are_counted_by_component() -> None:
    reference, prediction = np.zeros((2, 20, 20, 20), dtype=np.uint8)
    for start in (1, 8, 15):
        reference[start : start + 3, 2:5, 2:5] = 1
    prediction[1:4, 2:5, 2:5] = 1  # found
    prediction[8, 2, 2] = 1  # a single voxel of 27: not found, though the voxel itself is correct
    prediction[5:7, 12:15, 12:15] = 1  # invented
    result = one(reference, prediction)
    assert (result["reference_lesions"], result["found_lesions"]) == (3, 1)
    assert (result["predicted_lesions"], result["correct_lesions"]) == (3, 2)
    assert result["lesion_recall"] == pytest.approx(1 / 3)
    assert result["lesion_precision"] == pytest.approx(2 / 3)


def test_confusion_says_what_the_reference_became() -> None:
    reference = np.repeat(np.array([1, 1, 2, 0], dtype=np.uint8), 9).reshape(4, 3, 3)
    prediction = np.repeat(np.array([1, 2, 2, 2], dtype=np.uint8), 9).reshape(4, 3, 3)
    result = evaluate_pair(reference, prediction, (10, 10, 10), {"a": 1, "b": 2}, 1.0)
    assert result["a"]["predicted_as_ml"] == {"a": 9.0, "b": 9.0, "background": 0.0}
    assert result["b"]["predicted_as_ml"] == {"a": 0.0, "b": 9.0, "background": 0.0}


def test_slices_beyond_the_reference_count_only_for_labels_without_a_range_and_both_end_slices_are_kept() -> None:
    tube = np.zeros((12, 6, 6), dtype=np.uint8)
    tube[3:9, 2:4, 2:4] = 1
    longer = np.zeros_like(tube)
    longer[:, 2:4, 2:4] = 1
    trimmed = evaluate_pair(tube, longer, (1, 1, 1), {"aorta": 1}, 1.0, axial_range={"aorta"})["aorta"]
    assert trimmed["dice"] == 1
    assert trimmed["reference_ml"] == pytest.approx(tube.sum() / 1000), "the last labeled slice is part of the range"
    assert evaluate_pair(tube, longer, (1, 1, 1), {"aorta": 1}, 1.0)["aorta"]["dice"] == pytest.approx(2 / 3)
    missing_last = longer.copy()
    missing_last[8] = 0
    assert evaluate_pair(tube, missing_last, (1, 1, 1), {"aorta": 1}, 1.0, axial_range={"aorta"})["aorta"]["dice"] < 1
    turned = [np.moveaxis(volume, 0, 2) for volume in (tube, longer)]
    assert evaluate_pair(*turned, (1, 1, 1), {"aorta": 1}, 1.0, axial_range={"aorta"}, axial_axis=2)["aorta"]["dice"] == 1


def test_the_largest_error_is_the_deepest_not_the_first() -> None:
    reference, prediction = cube((2, 2, 2), edge=3), np.zeros((24, 24, 24), dtype=np.uint8)
    prediction[12:21, 10:19, 10:19] = 1
    errors = error_map(reference == 1, prediction == 1)
    assert (int((errors == 1).sum()), int((errors == 2).sum())) == (729, 27)
    assert largest_error_kji(reference == 1, prediction == 1, (1, 1, 1)) == (16, 14, 14)
    assert largest_error_kji(reference == 1, reference == 1, (1, 1, 1)) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prediction": np.zeros((3, 3, 4), dtype=np.uint8)}, "on one grid"),
        ({"spacing": (1, 1)}, "three positive numbers"),
        ({"spacing": (1, 0, 1)}, "three positive numbers"),
        ({"tolerances_mm": {"other": 1.0}}, "tolerances lack organ"),
        ({"prediction_labels": {"other": 1}}, "same label names"),
        ({"labels": {}}, "no label to compare"),
    ],
)
def test_wrong_input_gets_one_clear_sentence(arguments: dict, message: str) -> None:
    empty = np.zeros((3, 3, 3), dtype=np.uint8)
    given_arguments = {
        "reference": empty,
        "prediction": empty,
        "spacing": (1, 1, 1),
        "labels": {"organ": 1},
        "tolerances_mm": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        evaluate_pair(**{**given_arguments, **arguments})
