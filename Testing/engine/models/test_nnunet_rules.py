"""What nnU-Net does around its networks with anisotropic images, masks and overshooting splines is done alike."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny_models import tiny_mednext, write_package

from mednextseg.geometry import Geometry
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.prepare.preprocess import network_shape_kji, prepare
from mednextseg.segment.prepare.resampling import resize

NNUNET = {"orientation": None, "anisotropy_threshold": 3.0, "clip_resampled": True, "crop_to_nonzero": True}


def geometry_of(shape_kji: tuple[int, int, int], spacing_kji_mm: tuple[float, ...]) -> Geometry:
    return Geometry(shape_kji, np.diag([*spacing_kji_mm[::-1], 1.0]))


def card_with(tmp_path: Path, normalization: dict, **fields: object) -> ModelCard:
    channels = [{"name": name, "modality": "MR", "normalization": normalization} for name in fields.pop("names", ["T1"])]
    return read_card(write_package(tmp_path / "net", tiny_mednext(), ("a", "b"), channels=channels, **{**NNUNET, **fields}))


def zoomed(volume: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    """scikit-image's resize as nnU-Net calls it: scipy's zoom, kept within the range of its input."""
    factors = [b / a for a, b in zip(volume.shape, shape, strict=True)]
    result = ndimage.zoom(volume.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(result, volume.min(), volume.max())


@settings(max_examples=25)
@given(
    shape_in=st.tuples(*[st.integers(3, 9)] * 3),
    shape_out=st.tuples(*[st.integers(3, 12)] * 3),
    coarse=st.sampled_from([None, 0, 1, 2]),
    seed=st.integers(0, 99),
)
def test_resizing_is_clipped_and_takes_a_coarse_axis_slice_by_slice(
    shape_in: tuple, shape_out: tuple, coarse: int | None, seed: int
) -> None:
    volume = np.random.default_rng(seed).normal(size=shape_in).astype(np.float32)
    if coarse is None:
        expected = zoomed(volume, shape_out, 3)
    else:
        in_plane = tuple(n for axis, n in enumerate(shape_out) if axis != coarse)
        slices = [zoomed(part, in_plane, 3) for part in np.moveaxis(volume, coarse, 0)]
        nearest = np.floor((np.arange(shape_out[coarse]) + 0.5) * shape_in[coarse] / shape_out[coarse]).astype(int)
        expected = np.moveaxis(np.stack(slices)[nearest], 0, coarse)
    orders = tuple(0 if axis == coarse else 3 for axis in range(3))
    assert np.abs(resize(volume, shape_out, orders, clip=True) - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("spacing", "wanted", "coarse"),
    [
        ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((1.0, 1.0, 3.5), (1.0, 1.0, 1.0), 2),
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((4.0, 4.0, 1.0), (1.0, 1.0, 1.0), None),
    ],
)
def test_the_coarse_axis_is_nnunets(spacing: tuple, wanted: tuple, coarse: int | None, tmp_path: Path) -> None:
    card = card_with(tmp_path, {"scheme": "none"}, spacing_kji_mm=list(wanted))
    volume = np.random.default_rng(0).normal(size=(8, 9, 10)).astype(np.float32) + 5
    assert prepare(volume[None], geometry_of((8, 9, 10), spacing), card).coarse_axis == coarse


@pytest.mark.parametrize(("n", "rounded"), [(47, 70), (49, 74), (50, 75)])
def test_exact_halves_are_rounded_to_even_as_numpy_does(n: int, rounded: int, tmp_path: Path) -> None:
    angle = 0.3  # an oblique volume, whose spacing is only known from its matrix
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn * 1.5
    card = card_with(tmp_path, {"scheme": "none"})
    assert network_shape_kji(Geometry((n, n, n), matrix), card) == (rounded,) * 3


@pytest.mark.parametrize("normalize_first", [True, False])
def test_a_masked_normalization_sees_only_the_filled_region(normalize_first: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[2:10, 3:11, 2:9] = True
    first, second = (np.where(mask, rng.normal(50, 9, mask.shape), 0).astype(np.float32) for _ in range(2))
    first[5, 5, 5] = second[5, 5, 5] = 0  # a hole in both channels counts as inside
    second[6, 6, 6] = 0  # a zero in one channel does not even make a hole
    card = card_with(tmp_path, {"scheme": "zscore", "masked": True}, names=["T1", "T2"], normalize_first=normalize_first)
    prepared = prepare(np.stack([first, second]), geometry_of(mask.shape, (1, 1, 1)), card)
    box = prepared.crop.slices
    assert prepared.image_ckji.shape[1:] == (8, 8, 7) and mask[box].all()
    for image, source in zip(prepared.image_ckji, (first, second), strict=True):
        values = source[box]
        np.testing.assert_allclose(image, (values - values.mean()) / values.std(), atol=1e-5)


def test_a_masked_normalization_leaves_the_outside_zero(tmp_path: Path) -> None:
    ball = ndimage.distance_transform_edt(np.pad(np.ones((9, 9, 9)), 4)) > 1
    volume = np.where(ball, 100 + np.arange(17)[:, None, None], 0).astype(np.float32)
    volume[0, 0, 0] = 1  # so that the box is larger than the body
    scheme = {"scheme": "ct", "lower": 0.0, "upper": 200.0, "mean": 50.0, "std": 10.0, "masked": True}
    image = prepare(volume[None], geometry_of(volume.shape, (1, 1, 1)), card_with(tmp_path, scheme)).image_ckji[0]
    body = ball[: image.shape[0], : image.shape[1], : image.shape[2]]
    outside = ~body
    outside[0, 0, 0] = False
    assert (image[outside] == 0).all() and (image[body] > 4).all()


@settings(max_examples=25)
@given(
    network=st.tuples(*[st.integers(2, 7)] * 3),
    target=st.tuples(*[st.integers(2, 9)] * 3),
    axis=st.sampled_from([0, 1, 2]),
    seed=st.integers(0, 99),
)
def test_labels_come_from_the_nearest_slice_along_a_coarse_axis(network: tuple, target: tuple, axis: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, *network)).astype(np.float32)
    nearest = np.floor((np.arange(target[axis]) + 0.5) * network[axis] / target[axis]).astype(int)
    taken = np.take(values, nearest, axis=axis + 1)
    expected = np.stack([resize(channel, target, (1, 1, 1)) for channel in taken])
    reduction = LabelReduction(network, target, [0, 1, 2], nearest_axis=axis)
    for k in range(network[0]):
        reduction.add(k, torch.from_numpy(values[:, k : k + 1]))
    best = np.sort(expected, axis=0)
    clear = best[-1] - best[-2] > 1e-5
    np.testing.assert_array_equal(reduction.labelmap_kji[clear], expected.argmax(axis=0)[clear])
