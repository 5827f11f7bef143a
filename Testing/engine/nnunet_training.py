"""Results folders by nnU-Net's own code: its fingerprint, planners, preprocessing and trainers on a phantom, with narrow networks.

    python Testing/engine/nnunet_training.py OUT.zip

trains every configuration for two steps and packs the folders with the labels of nnU-Net's own predictor (needs build/bench; `make bench`
does it). The package that the tests read, models/nnunet_trained.zip, was made so; optimizers are left out, as importing reads none.
"""

import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
import torch
from nnunet_predictor import needs_nnunet, nnunet_labels
from scipy import ndimage

SHAPE_KJI, SPACING_KJI_MM = (20, 44, 48), (2.5, 1.25, 0.9)
LABELS = {"background": 0, "liver": 1, "tumor": 2}
DATASET, NUMBER, LABELS_FILE = "Dataset801_Phantom", 801, "labels.npz"
PLAIN, RESIDUAL_SIZES = "nnUNetTrainer__nnUNetPlans__", ("M", "L", "XL")
RESIDUAL = tuple(f"nnUNetTrainer__nnUNetResEncUNet{size}Plans__3d_fullres" for size in RESIDUAL_SIZES)
TRAINED = (f"{PLAIN}2d", f"{PLAIN}3d_lowres", f"{PLAIN}3d_fullres", *RESIDUAL)
CASCADE = f"{PLAIN}3d_cascade_fullres"
# Narrow networks and small windows, so that a step takes a second: the planners' own numbers are 32 and 8 GB.
_FEATURES, _MOST_FEATURES, _MEMORY_GB = 4, 12, 0.002
_STEPS = 2


def phantom(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A CT-like volume with a margin of zeros, and its labels: (K, J, I) each."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, SHAPE_KJI), (1, 2, 2))
    blobs /= blobs.std()
    image = np.round(40 + 80 * blobs)
    image[:2], image[:, -3:] = 0, 0
    labels = (blobs > 0.7).astype(np.uint8) + (blobs > 1.6)
    return image.astype(np.float32), labels.astype(np.uint8)


def write_dataset(raw: Path, cases: int = 2) -> None:
    """Images and labels as nnU-Net expects them."""
    folder = raw / DATASET
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number in range(cases):
        for array, name in zip(phantom(number), (f"imagesTr/case{number}_0000", f"labelsTr/case{number}"), strict=True):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(SPACING_KJI_MM[::-1])
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    about = {"channel_names": {"0": "CT"}, "labels": LABELS, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(about))


def train_all(root: Path) -> Path:
    """Plan, prepare and train every configuration by nnU-Net's default planner, and one by each of its residual encoder planners.

    Returns:
        The data set's folder of results.
    """
    needs_nnunet()
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset

    write_dataset(root / "raw")
    with _nnunet_folders(root) as results:
        extract_fingerprint_dataset(NUMBER, num_processes=1, show_progress_bar=False)
        plans = _plan(ExperimentPlanner, ["2d", "3d_fullres", "3d_lowres"])
        for configuration in ("2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres"):
            _train(plans, configuration)
        for size in RESIDUAL_SIZES:
            planner_class = getattr(residual_encoder_unet_planners, f"nnUNetPlannerResEnc{size}")
            _train(_plan(planner_class, ["3d_fullres"]), "3d_fullres")
        return results


def pack(results: Path, out: Path) -> None:
    """What an importer reads of each trainer's folder, and the labels of phantom 7 by nnU-Net's predictor, zipped."""
    needs_nnunet()
    image = phantom(7)[0]
    found: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*TRAINED, CASCADE):
            previous = found[f"{PLAIN}3d_lowres labels"] if name == CASCADE else None
            found[f"{name} labels"], found[f"{name} is clear"] = nnunet_labels(
                results / name, image, SPACING_KJI_MM, previous_kji=previous
            )
            for file in ("plans.json", "dataset.json"):
                archive.write(results / name / file, f"{results.name}/{name}/{file}")
            checkpoint = torch.load(results / name / "fold_all" / "checkpoint_final.pth", weights_only=False)
            with archive.open(f"{results.name}/{name}/fold_all/checkpoint_final.pth", "w") as file:
                torch.save({**checkpoint, "optimizer_state": {}}, file)
        with archive.open(LABELS_FILE, "w") as file:
            np.savez_compressed(file, **found)


@contextmanager
def _nnunet_folders(root: Path) -> Iterator[Path]:
    """nnU-Net's three folders below `root`, in its environment variables; gives that of the results."""
    names = {f"nnUNet_{part}": str(root / part) for part in ("raw", "preprocessed", "results")}
    with patch.dict(os.environ, {**names, "nnUNet_n_proc_DA": "0"}):  # no process beside this one
        yield root / "results" / DATASET


def _plan(planner_class: type, configurations: list[str]) -> dict:
    """The plans of one of nnU-Net's planners with a memory target that suits the phantom, and the data prepared by them."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset

    planner = planner_class(NUMBER, gpu_memory_target_in_gb=_MEMORY_GB)
    planner.UNet_base_num_features, planner.UNet_max_features_2d, planner.UNet_max_features_3d = (
        _FEATURES, _MOST_FEATURES, _MOST_FEATURES,
    )  # fmt: skip
    with patch.dict(os.environ, {"nnUNet_n_proc_DA": "1"}):  # as many threads as the planner may use, of which none is too few
        plans = planner.plan_experiment()
    assert set(configurations) <= set(plans["configurations"]), plans["configurations"].keys()
    preprocess_dataset(NUMBER, planner.plans_identifier, configurations, num_processes=[1], show_progress_bar=False)
    return plans


def _train(plans: dict, configuration: str) -> None:
    """Two steps over all cases; with what the next stage of a cascade needs."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.manual_seed(0)
    about = json.loads((Path(os.environ["nnUNet_preprocessed"]) / DATASET / "dataset.json").read_text())
    trainer = nnUNetTrainer({**plans, "continue_training": False}, configuration, "all", about, torch.device("cpu"))
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 1, _STEPS, 1
    trainer.run_training()
    if trainer.configuration_manager.next_stage_names:
        trainer.perform_actual_validation(save_probabilities=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        pack(train_all(Path(scratch)), Path(sys.argv[1]))
