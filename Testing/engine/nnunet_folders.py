"""Small real results folders, written as nnU-Net v1 and v2 write them, for the tests of the importers."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig


def tiny(num_classes: int = 3, in_channels: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    config = MedNeXtConfig(in_channels, num_classes, block_counts=(1,) * 9, base_channels=4, deep_supervision=True)
    return {f"module.{name}": tensor for name, tensor in MedNeXt(config).state_dict().items()}


def v1_plans(**changes: Any) -> dict[str, Any]:
    plans = {
        "num_modalities": 1,
        "modalities": {0: "CT"},
        "num_classes": 2,
        "all_classes": [1, 2],
        "normalization_schemes": {0: "CT"},
        "use_mask_for_norm": {0: False},
        "preprocessor_name": "GenericPreprocessor",
        "transpose_forward": [0, 1, 2],
        "dataset_properties": {
            "intensityproperties": {
                0: {"mean": np.float32(1), "sd": np.float32(2), "percentile_00_5": -5, "percentile_99_5": 5}
            }
        },
        "plans_per_stage": {0: {"patch_size": np.array([16, 16, 16]), "current_spacing": np.array([1.0, 1.0, 1.0])}},
    }
    return {**plans, **changes}


def v1_folder(
    root: Path, folds: int = 1, num_classes: int = 3, name: str = "nnUNetTrainerV2_MedNeXt_S_kernel3", **plans: Any
) -> Path:
    trainer = root / "3d_fullres" / "Task007_Tiny" / f"{name}__plans"
    for fold in range(folds):
        folder = trainer / f"fold_{fold}"
        folder.mkdir(parents=True)
        torch.save({"state_dict": tiny(num_classes, seed=fold)}, folder / "model_final_checkpoint.model")
        info = {"init": ("p", fold, "out", "data", True, 0, True, False, True), "name": name, "plans": v1_plans(**plans)}
        (folder / "model_final_checkpoint.model.pkl").write_bytes(pickle.dumps(info, 2))
    return trainer


def cascade_v1_folders(root: Path, stages: Mapping[int, dict], networks: Mapping[int, torch.nn.Module], **plans: Any) -> Path:
    """A results folder of nnU-Net v1 with both stages of a cascade, one fold each.

    Args:
        stages: entries of plans_per_stage, of the first stage (0) and the second (1).
        networks: of both.
        plans: other entries of the plans.
    """
    both = v1_plans(plans_per_stage=dict(stages), **plans)
    trainers = {0: ("3d_lowres", "nnUNetTrainerV2"), 1: ("3d_cascade_fullres", "nnUNetTrainerV2CascadeFullRes")}
    for stage, (configuration, name) in trainers.items():
        folder = root / configuration / "Task007_Tiny" / f"{name}__nnUNetPlansv2.1" / "fold_0"
        folder.mkdir(parents=True)
        torch.save({"state_dict": networks[stage].state_dict()}, folder / "model_final_checkpoint.model")
        init = ("p", 0, "out", "data", True, stage, True, False)
        info = {"init": (*init, *(("nnUNetTrainerV2",) if stage else ()), True), "name": name, "plans": both}
        (folder / "model_final_checkpoint.model.pkl").write_bytes(pickle.dumps(info, 2))
    return root


def v2_folder(root: Path, labels: dict, num_classes: int, changes: dict | None = None, **dataset: Any) -> Path:
    trainer = root / "Dataset009_Tiny" / "nnUNetTrainerMedNeXt__nnUNetPlans__3d_fullres"
    (trainer / "fold_0").mkdir(parents=True)
    configuration = {
        "spacing": [1.0, 1.0, 1.0],
        "patch_size": [16, 16, 16],
        "preprocessor_name": "DefaultPreprocessor",
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [True],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"order": 3, "order_z": 0, "force_separate_z": None},
        **(changes or {}),
    }
    plans = {
        "dataset_name": "Dataset009_Tiny",
        "transpose_forward": [0, 1, 2],
        "image_reader_writer": "SimpleITKIO",
        "configurations": {"base": configuration, "3d_fullres": {"inherits_from": "base"}},
    }
    description = {"channel_names": {"0": "FLAIR"}, "labels": labels, **dataset}
    (trainer / "plans.json").write_text(json.dumps(plans))
    (trainer / "dataset.json").write_text(json.dumps(description))
    torch.save({"network_weights": tiny(num_classes), "trainer_name": "T"}, trainer / "fold_0" / "checkpoint_final.pth")
    return trainer
