"""What the benchmarks run on: a volume with the texture of a CT, and a model package with random weights."""

import os
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.model_card import card_from_dict, write_card
from mednextseg.models.weights import write_safetensors
from mednextseg.segment.prepare.resampling import resize
from mednextseg.volume_io import read_volume

_ROOT = Path(__file__).resolve().parents[2]
_REAL_CT = Path(os.environ.get("MEDNEXTSEG_SHARED", _ROOT.parent / "shared")) / "data/totalseg_example/example_ct.nii.gz"
_NOISE_HU = 15.0


def ct_like(shape_kji: tuple[int, int, int], spacing_kji_mm: tuple[float, float, float]) -> tuple[np.ndarray, Geometry]:
    """int16 (K, J, I) in Hounsfield units: a real trunk at 3 mm, enlarged, with noise; without that file, ellipsoids with noise."""
    generator = np.random.default_rng(0)
    small_kji = read_volume(_REAL_CT)[0] if _REAL_CT.is_file() else _ellipsoids(generator)
    volume_kji = resize(small_kji.astype(np.float32), shape_kji)
    for k in range(shape_kji[0]):
        volume_kji[k] += generator.normal(0, _NOISE_HU, shape_kji[1:])
    return volume_kji.round().astype(np.int16), Geometry(shape_kji, np.diag([*spacing_kji_mm[::-1], 1.0]))


def package(folder: Path, network: torch.nn.Module, patch_kji: tuple[int, int, int], **fields: object) -> LoadedModel:
    """A CT model at 1 mm around a network, which follows nnU-Net's rules from resampling to overlap."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = write_safetensors(network.state_dict(), folder / "weights.safetensors")
    raw = {
        "id": "benchmark",
        "version": "1.0.0",
        "title": "Benchmark",
        "task": "segment",
        "family": "mednext",
        "architecture": {},
        "channels": [{"name": "CT", "modality": "CT", "normalization": {"scheme": "zscore"}}],
        "labels": [{"value": n, "name": f"label {n}", "color": [n, 200, 90]} for n in range(1, network.config.num_classes)],
        "weights_sha256": [digest],
        "weights_license": "CC0",
        "spacing_kji_mm": [1.0, 1.0, 1.0],
        "patch_size_kji": list(patch_kji),
        "crop_to_nonzero": True,
        "anisotropy_threshold": 3.0,
        "clip_resampled": True,
        "padding": "zero",
        **fields,
    }
    write_card(card_from_dict(raw), folder)
    return load_model(folder)


def class_bands(num_outputs: int) -> torch.nn.Module:
    """Instead of a network where only the rest is measured: each class is a band of smoothed, z-scored intensity."""

    class Bands(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            smooth = torch.nn.functional.avg_pool3d(x, 7, stride=1, padding=3, count_include_pad=False)
            centers = torch.linspace(-1.5, 2.0, num_outputs).view(1, -1, 1, 1, 1)
            return (smooth - centers).abs_().neg_()

    return Bands()


def _ellipsoids(generator: np.random.Generator) -> np.ndarray:
    labels = np.full((100, 100, 100), -1000.0)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in labels.shape], indexing="ij"), axis=-1)
    for value in (-100, 40, 60, -800, 300, 150, 20, 400):
        center, radii = generator.uniform(30, 70, 3), generator.uniform(8, 35, 3)
        labels[(((grid - center) / radii) ** 2).sum(axis=-1) <= 1] = value
    return ndimage.gaussian_filter(labels, 1)
