"""nnU-Net's own predictor on its own results folder, in this process: what imported models are compared with."""

import json
import os
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

BENCH = Path(__file__).parents[2] / "build" / "bench"


def needs_nnunet() -> None:
    """Skip where the benchmark's folder with nnU-Net is absent; else make it importable, behind everything that is installed."""
    if not (BENCH / "nnunetv2").is_dir():
        pytest.skip("nnU-Net is not installed; make build/bench/.ready installs it.")
    os.environ.setdefault("nnUNet_def_n_proc", "1")  # read at import; more threads than cores wait for each other
    if str(BENCH) not in sys.path:
        sys.path.append(str(BENCH))


def nnunet_labels(
    trainer: Path,
    volume_kji: np.ndarray,
    spacing_kji_mm: tuple[float, float, float],
    mirrored: bool = False,
    previous_kji: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The labelmap that nnUNetPredictor makes of a volume with all folds of a trainer's folder, and where it is clear.

    It weighs and adds up windows in half precision, which decides by chance near corners of the volume; here it gets single precision.
    Labels are clear where the two best probabilities differ by more than 0.002.

    Args:
        trainer: with plans.json, dataset.json and folds.
        volume_kji: (K, J, I), or with channels in front.
        spacing_kji_mm: of it.
        mirrored: average over mirror images.
        previous_kji: labels of the stage before, of a cascade.
    """
    from nnunetv2.inference import predict_from_raw_data
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(json.loads((trainer / "plans.json").read_text()))
    dataset = json.loads((trainer / "dataset.json").read_text())
    configuration = plans.get_configuration(trainer.name.rpartition("__")[2])
    folds = [torch.load(file, weights_only=False) for file in sorted(trainer.glob("fold_*/checkpoint_final.pth"))]
    heads = plans.get_label_manager(dataset).num_segmentation_heads
    channels = len(dataset["channel_names"]) + (0 if previous_kji is None else heads - 1)
    network = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        channels,
        heads,
        allow_init=False,
        deep_supervision=False,
    ).eval()
    predictor = predict_from_raw_data.nnUNetPredictor(use_mirroring=mirrored, device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network,
        plans,
        configuration,
        [fold["network_weights"] for fold in folds],
        dataset,
        folds[0]["trainer_name"],
        folds[0]["inference_allowed_mirroring_axes"],
    )
    image = volume_kji if volume_kji.ndim == 4 else volume_kji[None]
    previous = None if previous_kji is None else previous_kji[None].astype(np.int16)
    properties = {"spacing": list(spacing_kji_mm)}
    single = partial(predict_from_raw_data.compute_gaussian, dtype=torch.float32)
    with patch.object(torch, "half", torch.float32), patch.object(predict_from_raw_data, "compute_gaussian", single):
        labels, probabilities = predictor.predict_single_npy_array(
            image.astype(np.float32), properties, previous, save_or_return_probabilities=True
        )
    second, first = np.sort(probabilities, axis=0)[-2:]
    return labels, first - second > 2e-3
