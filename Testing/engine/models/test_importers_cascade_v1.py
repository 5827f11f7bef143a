"""Cascades of nnU-Net v1: both stages in one run; against that program's own steps where it is installed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_cascade_v1 import KERNELS, NETWORKS, PATCH_KJI, POOLS, SPACINGS_KJI_MM, WIDTHS, small_cascade
from nnunet_predictor import BENCH, needs_nnunet
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.library import verify_model
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.run_plan import plan_run

SHAPE_KJI, SPACING_KJI_MM = (12, 24, 30), (2.5, 1.25, 0.9)
CASCADE = "nnUNetTrainerV2CascadeFullRes__nnUNetPlansv2.1"


def phantom() -> tuple[np.ndarray, Geometry]:
    """Smooth blobs in a CT channel whose plans know values from -5 to 5."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, SHAPE_KJI), (1, 2, 2))
    image = (3 * blobs / blobs.std()).astype(np.float32)
    image[image == 0] = 0.1
    k, j, i = SPACING_KJI_MM
    return image, Geometry(SHAPE_KJI, np.diag([-i, -j, k, 1.0]))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_cascade(tmp_path_factory.mktemp("nnunet") / "nnUNet")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))


def test_every_level_gives_both_stages_and_a_run_takes_them_one_after_the_other(results: Path, tmp_path: Path) -> None:
    trainer = results / "3d_cascade_fullres" / "Task007_Tiny" / CASCADE
    archive = shutil.make_archive(str(tmp_path / "both"), "zip", results.parent, results.name)
    levels = [
        results,
        trainer.parent,
        trainer,
        trainer / "fold_0",
        trainer / "fold_0" / "model_final_checkpoint.model",
        archive,
    ]
    cards = []
    for number, path in enumerate(levels):
        imported = import_model(path, model_id=f"level-{number}")
        cards.append({**imported.card.to_dict(), "id": ""})
        assert verify_model(imported.folder) == []
    assert all(card == cards[0] for card in cards) and cards[0]["combination"] == "cascade"
    model = load_model("level-0")
    assert [part.card.spacing_kji_mm for part in model.parts] == list(SPACINGS_KJI_MM.values())
    assert model.parts[1].card.previous_labels == (1, 2) and not import_model(results / "3d_lowres").card.parts
    image, geometry = phantom()
    labels, report = segment(image, geometry, model, device="cpu")
    plan = plan_run(geometry, model, None, SegmentRecipe(), "cpu")
    assert len(np.unique(labels)) > 1 and report.windows.full == plan.forward_passes


def without_first_stage(results: Path) -> None:
    shutil.rmtree(results / "3d_lowres")


def with_two_others(results: Path) -> None:
    task = results / "3d_lowres" / "Task007_Tiny"
    (own,) = task.iterdir()
    for name in ("One", "Two"):
        shutil.copytree(own, task / f"{name}__nnUNetPlansv2.1")
    shutil.rmtree(own)


@pytest.mark.parametrize("spoil", [without_first_stage, with_two_others])
def test_without_its_first_stage_it_is_refused(spoil: Callable[[Path], None], results: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(results, tmp_path / "nnUNet"))
    spoil(copied)
    first = r"needs the results of the first, 3d_lowres/Task007_Tiny/nnUNetTrainerV2__nnUNetPlansv2\.1, beside"
    with pytest.raises(ValueError, match=first):
        import_model(copied / "3d_cascade_fullres")


@pytest.fixture
def of_v1() -> Callable[[Path, int, np.ndarray | None], tuple[np.ndarray, np.ndarray]]:
    """One stage by nnU-Net v1's own cropping, resampling, windows and export, as `predict_cases` calls them, without its processes."""
    needs_nnunet()
    if not (BENCH / "nnunet").is_dir():
        pytest.skip("nnU-Net v1 is not installed; make build/bench/.ready installs it.")
    from batchgenerators.augmentations.utils import resize_segmentation
    from nnunet.network_architecture.generic_UNet import Generic_UNet
    from nnunet.preprocessing.preprocessing import GenericPreprocessor, resample_data_or_seg
    from nnunet.utilities.one_hot_encoding import to_one_hot

    def run(file: Path, stage: int, previous_kji: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        theirs = Generic_UNet(
            1 if stage == 0 else 3, WIDTHS[0], 3, 2, 2, 2, torch.nn.Conv3d, torch.nn.InstanceNorm3d, {"eps": 1e-5, "affine": True},
            torch.nn.Dropout3d, {"p": 0, "inplace": True}, torch.nn.LeakyReLU, {"negative_slope": 1e-2, "inplace": True},
            False, False, lambda x: x, None, POOLS, KERNELS, False, True, True,
        ).eval()  # fmt: skip
        theirs.load_state_dict(NETWORKS[stage].state_dict())
        theirs.inference_apply_nonlin = lambda x: torch.nn.functional.softmax(x, 1)
        intensities = {0: {"mean": 1.0, "sd": 2.0, "percentile_00_5": -5, "percentile_99_5": 5}}
        preprocessor = GenericPreprocessor({0: "CT"}, {0: False}, [0, 1, 2], intensities)
        data, _, about = preprocessor.preprocess_test_case([str(file)], np.array(SPACINGS_KJI_MM[stage]))
        if previous_kji is not None:
            resized = resize_segmentation(previous_kji.astype(np.int16), data.shape[1:], order=1)
            data = np.vstack((data, to_one_hot(resized, [1, 2]))).astype(np.float32)
        probabilities = theirs.predict_3D(
            data, False, (), True, 0.5, np.array(PATCH_KJI), None, True, "constant", {"constant_values": 0},
            mixed_precision=False, verbose=False,
        )[1]  # fmt: skip
        before, now = about["original_spacing"], np.array(SPACINGS_KJI_MM[stage])
        apart = [spacing for spacing in (before, now) if max(spacing) / min(spacing) > 3]
        axis = np.flatnonzero(np.array(apart[0]) == max(apart[0])) if apart else None
        shape = about["size_after_cropping"]
        probabilities = resample_data_or_seg(probabilities, shape, False, axis, 1, bool(apart), order_z=0)
        second, first = np.sort(probabilities, axis=0)[-2:]
        return probabilities.argmax(0), first - second > 2e-3

    return run


def test_both_stages_label_as_nnunet_v1_does(results: Path, tmp_path: Path, of_v1: Callable) -> None:
    image, geometry = phantom()
    file = tmp_path / "case_0000.nii.gz"
    stored = sitk.GetImageFromArray(image)
    stored.SetSpacing(SPACING_KJI_MM[::-1])
    sitk.WriteImage(stored, str(file))
    model = load_model(import_model(results).folder)
    previous: np.ndarray | None = None
    # A voxel that falls the other way in the first stage would be an input of the second, so each stage is compared alone.
    for stage, ours in enumerate((segment(image, geometry, model.parts[0], device="cpu")[0],
                                  segment(image, geometry, model, device="cpu")[0])):  # fmt: skip
        with patch("torch.cuda.empty_cache"):
            theirs, is_clear = of_v1(file, stage, previous)
        assert len(np.unique(theirs)) > 1
        assert (ours == theirs)[is_clear].all() and (ours == theirs).mean() >= 0.999
        previous = ours
