"""Three programs for the same job: a volume in Hounsfield units -> labels on its own grid, with the same network and weights.

All z-score the volume, resample it by cubic splines to 1 mm, take windows of half overlap under a Gaussian, and resample the class
values linearly. Each does it its own way.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from network_benchmark import monai_twin
from scipy import ndimage
from torch import nn

from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.networks.mednext import MedNeXt
from mednextseg.segment.auto_segmenter import segment

Runner = Callable[[np.ndarray, Geometry], np.ndarray]


def ours(model: LoadedModel, device: str = "auto") -> Runner:
    """This engine, as the worker and the command line run it."""
    return lambda volume_kji, geometry: segment(volume_kji, geometry, model, device=device)[0]


def monai(network: MedNeXt, patch_kji: tuple[int, int, int]) -> Runner:
    """MONAI's network under MONAI's sliding window; around it scipy's zoom and PyTorch's interpolation, as MONAI's transforms use."""
    twin = monai_twin(network)

    def run(volume_kji: np.ndarray, geometry: Geometry) -> np.ndarray:
        image = volume_kji.astype(np.float32)
        image = (image - image.mean()) / image.std()
        shape = [round(n * spacing) for n, spacing in zip(image.shape, geometry.spacing_kji_mm, strict=True)]
        factors = np.divide(shape, image.shape)
        resampled = ndimage.zoom(image, factors, order=3, mode="nearest", grid_mode=True)
        x = torch.from_numpy(resampled)[None, None]
        with torch.no_grad():
            logits = sliding_window_inference(x, patch_kji, 1, twin, overlap=0.5, mode="gaussian", padding_mode="constant")
        logits = F.interpolate(logits, size=image.shape, mode="trilinear", align_corners=False)
        return logits[0].argmax(0).numpy().astype(np.uint8)

    return run


def nnunet(network: nn.Module, patch_kji: tuple[int, int, int], device: str = "cpu") -> Runner:
    """nnU-Net v2's predictor around the plain network, without mirroring.

    Raises:
        ImportError: where nnU-Net is not installed (requirements-bench.txt).
    """
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(_plans(patch_kji))
    labels = {"background": 0, **{f"label {n}": n for n in range(1, network.config.num_classes)}}
    dataset = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device(device), allow_tqdm=False)
    configuration = plans.get_configuration("3d_fullres")
    predictor.manual_initialization(network, plans, configuration, [network.state_dict()], dataset, "benchmark", None)

    def run(volume_kji: np.ndarray, geometry: Geometry) -> np.ndarray:
        properties = {"spacing": list(geometry.spacing_kji_mm)}
        return predictor.predict_single_npy_array(volume_kji[None].astype(np.float32), properties)

    return run


def _plans(patch_kji: tuple[int, int, int]) -> dict:
    """The part of nnU-Net's plans that its predictor reads, with the values its planner writes."""
    resampling = "resample_data_or_seg_to_shape"
    options = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "benchmark",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(patch_kji),
        "spacing": [1.0, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_probabilities": resampling,
        "resampling_fn_data_kwargs": {**options, "order": 3},
        "resampling_fn_seg_kwargs": {**options, "is_seg": True, "order": 1},
        "resampling_fn_probabilities_kwargs": {**options, "order": 1},
        "architecture": {"network_class_name": "", "arch_kwargs": {}, "_kw_requires_import": []},
        "batch_dice": False,
    }
    return {
        "dataset_name": "benchmark",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "foreground_intensity_properties_per_channel": {"0": {}},  # read by its normalization of CT only
    }
