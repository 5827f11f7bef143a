"""The whole pipeline of imported models against nnU-Net's own predictor on phantoms: 3D and 2D, any transposition, folds, mirrors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunet_predictor import needs_nnunet, nnunet_labels
from nnunet_unets import cascade_folders, results_folder, tiny_architecture
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.prepare.previous_labels import label_channels
from mednextseg.segment.prepare.resampling import resize
from mednextseg.segment.recipe import SegmentRecipe

SPACING_KJI_MM = (2.5, 1.25, 0.9)


@pytest.fixture(scope="module", autouse=True)
def nnunet() -> None:
    needs_nnunet()


def phantom(shape_kji: tuple[int, int, int] = (12, 24, 30)) -> tuple[np.ndarray, Geometry]:
    """Smooth blobs in Hounsfield units with a margin of zeros, and its geometry: axes as stored."""
    generator = np.random.default_rng(1)
    blobs = ndimage.gaussian_filter(generator.normal(0, 1, shape_kji), (1, 2, 2))
    image = np.round(40 + 250 * blobs / blobs.std() / 3)
    image[:2], image[:, -3:] = 0, 0
    k, j, i = SPACING_KJI_MM
    return image.astype(np.float32), Geometry(shape_kji, np.diag([-i, -j, k, 1.0]))


def assert_same_labels(trainer: Path, mirrored: bool = False) -> None:
    """All voxels alike where nnU-Net is sure of itself, and 99.9 % of all; the phantom must show more than background."""
    image, geometry = phantom()
    theirs, is_clear = nnunet_labels(trainer, image, SPACING_KJI_MM, mirrored)
    assert len(np.unique(theirs)) > 1 and is_clear.mean() > 0.99
    model = load_model(import_model(trainer).folder)
    ours, _ = segment(image, geometry, model, recipe=SegmentRecipe(tta=mirrored), device="cpu")
    assert (ours == theirs)[is_clear].all() and (ours == theirs).mean() >= 0.999


@pytest.mark.parametrize(
    ("network", "configuration", "mirrored", "changes"),
    [
        ("PlainConvUNet", "3d_fullres", False, {"spacing": [2.0, 1.5, 1.5], "patch_size": [8, 16, 16]}),
        (
            "ResidualEncoderUNet",
            "3d_lowres",
            True,
            {"spacing": [6.0, 1.5, 1.5], "patch_size": [4, 16, 16], "transpose": (0, 2, 1)},
        ),
        ("PlainConvUNet", "2d", False, {"spacing": [1.5, 1.5], "patch_size": [16, 20]}),
        ("PlainConvUNet", "2d", True, {"spacing": [2.0, 1.0], "patch_size": [12, 32], "transpose": (2, 0, 1), "folds": 2}),
        ("ResidualEncoderUNet", "2d", False, {"spacing": [4.0, 0.9], "patch_size": [16, 48], "transpose": (1, 0, 2)}),
    ],
)
def test_labels_are_those_of_the_predictor(
    network: str, configuration: str, mirrored: bool, changes: dict[str, Any], tmp_path: Path
) -> None:
    entry = tiny_architecture(network, axes=2 if configuration == "2d" else 3)
    assert_same_labels(results_folder(tmp_path, entry, configuration, **changes), mirrored)


@pytest.mark.parametrize(("transpose", "spacing"), [((0, 1, 2), list(SPACING_KJI_MM)), ((1, 2, 0), [2.0, 1.5, 1.5])])
def test_a_cascade_is_both_runs_of_the_predictor(transpose: tuple[int, int, int], spacing: list[float], tmp_path: Path) -> None:
    low = {"spacing": [4.0, 2.5, 2.0], "patch_size": [4, 16, 16], "transpose": transpose}
    folder = cascade_folders(tmp_path, low=low, spacing=spacing, transpose=transpose)
    image, geometry = phantom()
    trainer = "nnUNetTrainer__nnUNetPlans__"
    model = load_model(import_model(folder).folder)
    ours, _ = segment(image, geometry, model, device="cpu")
    # A single voxel that falls the other way in the first stage would be an input of the second, so each stage is compared alone.
    before, _ = segment(image, geometry, model.parts[0], device="cpu")
    first, first_is_clear = nnunet_labels(folder / f"{trainer}3d_lowres", image, SPACING_KJI_MM)
    assert len(np.unique(before)) > 1 and (before == first)[first_is_clear].all() and (before == first).mean() >= 0.999
    theirs, is_clear = nnunet_labels(folder / f"{trainer}3d_cascade_fullres", image, SPACING_KJI_MM, previous_kji=before)
    assert len(np.unique(theirs)) > 1 and (ours == theirs)[is_clear].all() and (ours == theirs).mean() >= 0.999


@settings(max_examples=20)
@given(data=st.data())
def test_labels_of_an_earlier_stage_are_resampled_as_nnunet_does(data: st.DataObject) -> None:
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    shape = data.draw(st.tuples(*[st.integers(2, 7)] * 3))
    target = data.draw(st.tuples(*[st.integers(1, 12)] * 3))
    separate = data.draw(st.booleans())
    seed = data.draw(st.integers(0, 99))
    labels = np.random.default_rng(seed).integers(0, 4, shape)
    spacing = [9.0, 1.0, 1.0] if separate else [1.0, 1.0, 1.0]
    options = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
    theirs = resample_data_or_seg_to_shape(labels[None], target, spacing, spacing, **options)[0]
    orders = (0, 1, 1) if separate else (1, 1, 1)
    ours = label_channels(labels, np.ones(shape, dtype=bool), (1, 2, 3), target, orders)
    shares = np.sort([resize((labels == value).astype(np.float32), target, orders) for value in range(4)], axis=0)
    is_clear = shares[-1] - shares[-2] > 1e-5  # of equal shares, rounding decides there
    assert np.array_equal(ours[:, is_clear], np.stack([(theirs == value)[is_clear] for value in (1, 2, 3)]))
    assert (ours.sum(axis=0) <= 1).all()
