"""Results folders by nnU-Net v1's own code: its cropping, planners, preprocessing and trainers on a phantom, with narrow networks.

    python Testing/engine/nnunet_v1_training.py OUT.zip

trains every configuration for two steps and packs the folders with the labels of nnU-Net's own prediction (needs build/bench; `make bench`
does it). The package that the tests read, models/nnunet_v1_trained.zip, was made so; optimizers are left out, as importing reads none.
"""

import json
import os
import pickle
import shutil
import sys
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
import torch
from nnunet_predictor import needs_nnunet
from nnunet_training import LABELS, LABELS_FILE, SPACING_KJI_MM, phantom

TASK = "Task801_Phantom"
_TRAINER, _CASCADE_TRAINER = "nnUNetTrainerV2", "nnUNetTrainerV2CascadeFullRes"
TRAINED = tuple(f"{configuration}/{TASK}/{_TRAINER}__nnUNetPlansv2.1" for configuration in ("2d", "3d_lowres", "3d_fullres"))
CASCADE = f"3d_cascade_fullres/{TASK}/{_CASCADE_TRAINER}__nnUNetPlansv2.1"
_CHECKPOINT = "all/model_final_checkpoint.model"
# Narrow networks and small windows, so that a step takes a second and the phantom is large enough for two stages.
_FEATURES, _ROOM_3D, _ROOM_2D = 4, 1.2e6, 1.2e5
_STEPS, _CASES = 2, 5


def prepare(root: Path) -> Path:
    """Write the task, crop it, plan it for volumes and slices, and preprocess it; returns the folder of the plans.

    Sets nnU-Net's environment variables, which it reads once, at its first import.
    """
    needs_nnunet()
    places = {"nnUNet_raw_data_base": "raw", "nnUNet_preprocessed": "preprocessed", "RESULTS_FOLDER": "results"}
    os.environ.update({name: str(root / place) for name, place in places.items()}, nnUNet_n_proc_DA="1")
    task = root / "raw" / "nnUNet_raw_data" / TASK
    _write_task(task)
    from nnunet.experiment_planning.DatasetAnalyzer import DatasetAnalyzer
    from nnunet.experiment_planning.experiment_planner_baseline_2DUNet_v21 import ExperimentPlanner2D_v21
    from nnunet.experiment_planning.experiment_planner_baseline_3DUNet_v21 import ExperimentPlanner3D_v21
    from nnunet.experiment_planning.utils import crop
    from nnunet.network_architecture.generic_UNet import Generic_UNet

    Generic_UNet.use_this_for_batch_size_computation_3D, Generic_UNet.use_this_for_batch_size_computation_2D = (
        _ROOM_3D,
        _ROOM_2D,
    )
    crop(TASK, False, 1)
    cropped, prepared = root / "raw" / "nnUNet_cropped_data" / TASK, root / "preprocessed" / TASK
    DatasetAnalyzer(str(cropped), overwrite=False, num_processes=1).analyze_dataset(True)
    prepared.mkdir(parents=True)
    shutil.copy(cropped / "dataset_properties.pkl", prepared)
    shutil.copy(task / "dataset.json", prepared)
    for planner_class, processes in ((ExperimentPlanner3D_v21, (1, 1)), (ExperimentPlanner2D_v21, 1)):
        planner = planner_class(str(cropped), str(prepared))
        planner.unet_base_num_features = _FEATURES
        planner.plan_experiment()
        planner.run_preprocessing(processes)
    return prepared


def train_all(root: Path, prepared: Path) -> Path:
    """Train every configuration for two steps; returns the folder of the results."""
    from nnunet.training.cascade_stuff.predict_next_stage import predict_next_stage
    from nnunet.training.network_training.nnUNetTrainerV2 import nnUNetTrainerV2
    from nnunet.training.network_training.nnUNetTrainerV2_CascadeFullRes import nnUNetTrainerV2CascadeFullRes

    results = root / "results" / "nnUNet"
    slices, low, full = (results / name for name in TRAINED)
    _train(nnUNetTrainerV2, prepared, slices, "2D", stage=0)
    first = _train(nnUNetTrainerV2, prepared, low, "3D", stage=0)
    predict_next_stage(first, str(Path(first.dataset_directory) / f"{first.plans['data_identifier']}_stage1"))
    _train(nnUNetTrainerV2, prepared, full, "3D", stage=1)
    _train(nnUNetTrainerV2CascadeFullRes, prepared, results / CASCADE, "3D", stage=1, previous_trainer=_TRAINER)
    return results


def predicted(
    trainer_folder: Path, image_kji: np.ndarray, previous_kji: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The labelmap of nnU-Net v1's own restored trainer, and where it is clear: the two best probabilities differ by more than 0.002.

    Args:
        trainer_folder: with the fold "all".
        image_kji: (K, J, I), spacing SPACING_KJI_MM.
        previous_kji: labels of the first stage on the same grid, for a second one. They are cut to the box of the image as in training;
            `predict_cases` forgets that.
    """
    from batchgenerators.augmentations.utils import resize_segmentation
    from nnunet.inference.segmentation_export import save_segmentation_nifti_from_softmax
    from nnunet.training.model_restore import load_model_and_checkpoint_files
    from nnunet.utilities.one_hot_encoding import to_one_hot

    with tempfile.TemporaryDirectory() as folder, patch("torch.cuda.empty_cache"):
        file, labels, softmax = (Path(folder) / name for name in ("case_0000.nii.gz", "labels.nii.gz", "softmax.npz"))
        _write(image_kji, file)
        with patch.object(torch, "load", partial(torch.load, weights_only=False)):
            trainer, parameters = load_model_and_checkpoint_files(
                str(trainer_folder), "all", mixed_precision=False, checkpoint_name="model_final_checkpoint"
            )
            trainer.load_checkpoint_ram(parameters[0], False)
        data, _, about = trainer.preprocess_patient([str(file)])
        box = tuple(slice(*ends) for ends in about["crop_bbox"])
        if previous_kji is not None:
            resized = resize_segmentation(previous_kji[box].astype(np.int16), data.shape[1:], order=1)
            data = np.vstack((data, to_one_hot(resized, range(1, trainer.num_classes)))).astype(np.float32)
        probabilities = trainer.predict_preprocessed_data_return_seg_and_softmax(
            data, do_mirroring=False, mirror_axes=(), use_sliding_window=True, step_size=0.5, use_gaussian=True, verbose=False,
            mixed_precision=False,
        )[1]  # fmt: skip
        save_segmentation_nifti_from_softmax(
            probabilities, str(labels), about, 1, None, resampled_npz_fname=str(softmax), verbose=False
        )
        second, first = np.sort(np.load(softmax)["softmax"], axis=0)[-2:]
        is_clear = np.ones(image_kji.shape, dtype=bool)
        is_clear[box] = first - second > 2e-3
        return sitk.GetArrayFromImage(sitk.ReadImage(str(labels))), is_clear


def pack(results: Path, out: Path) -> None:
    """What an importer reads of each trainer's folder, and the labels of phantom 7 by nnU-Net's own prediction, zipped."""
    image, found = phantom(7)[0], {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*TRAINED, CASCADE):
            previous = found[f"{TRAINED[1]} labels"] if name == CASCADE else None
            found[f"{name} labels"], found[f"{name} is clear"] = predicted(results / name, image, previous)
            checkpoint = torch.load(results / name / _CHECKPOINT, weights_only=False)
            with archive.open(f"nnUNet/{name}/{_CHECKPOINT}", "w") as file:
                torch.save({**checkpoint, "optimizer_state_dict": None}, file)
            for path in (f"{_CHECKPOINT}.pkl", "plans.pkl"):
                archive.writestr(f"nnUNet/{name}/{path}", _without_places(results / name / path))
        with archive.open(LABELS_FILE, "w") as file:
            np.savez_compressed(file, **found)


def _write_task(folder: Path) -> None:
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / part).mkdir(parents=True)
    for number in range(_CASES):
        for array, name in zip(phantom(number), (f"imagesTr/case{number}_0000", f"labelsTr/case{number}"), strict=True):
            _write(array, folder / f"{name}.nii.gz")
    training = [{"image": f"./imagesTr/case{n}.nii.gz", "label": f"./labelsTr/case{n}.nii.gz"} for n in range(_CASES)]
    labels = {str(value): name for name, value in LABELS.items()}
    about = {
        "name": "Phantom",
        "modality": {"0": "CT"},
        "labels": labels,
        "numTraining": _CASES,
        "training": training,
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps({**about, "tensorImageSize": "3D", "numTest": 0}))


def _write(array_kji: np.ndarray, file: Path) -> None:
    image = sitk.GetImageFromArray(array_kji)
    image.SetSpacing(SPACING_KJI_MM[::-1])
    sitk.WriteImage(image, str(file))


def _train(trainer_class: type, prepared: Path, folder: Path, axes: str, stage: int, **options: str) -> object:
    torch.manual_seed(0)
    plans = prepared / f"nnUNetPlansv2.1_plans_{axes}.pkl"
    trainer = trainer_class(
        str(plans), "all", str(folder), str(prepared), batch_dice=True, stage=stage, unpack_data=True, deterministic=False, fp16=False,
        **options,
    )  # fmt: skip
    trainer.max_num_epochs, trainer.num_batches_per_epoch, trainer.num_val_batches_per_epoch = 1, _STEPS, 1
    trainer.initialize(True)
    trainer.run_training()
    return trainer


def _without_places(path: Path) -> bytes:
    """The pickled content without the folders of the machine it was made on."""
    content = pickle.loads(path.read_bytes())
    if "init" in content:
        content["init"] = tuple(Path(entry).name if isinstance(entry, str) else entry for entry in content["init"])
    plans = content.get("plans", content)
    plans["preprocessed_data_folder"] = Path(plans["preprocessed_data_folder"]).name
    plans["list_of_npz_files"] = [Path(file).name for file in plans["list_of_npz_files"]]
    return pickle.dumps(content, 2)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        pack(train_all(Path(scratch), prepare(Path(scratch))), Path(sys.argv[1]))
