"""Distances between the surfaces of two masks, by MONAI, so that the numbers are those of other evaluations.

Two conventions, each the usual one for its metric:
- surface Dice: DeepMind's surface elements between voxels, weighted by their area in mm² (Nikolov et al. 2021, arXiv:1809.04430);
- HD95 and ASSD: the centers of the border voxels, every one of equal weight (MONAI, nnU-Net).
Both see the surface in steps of a voxel: on concentric balls 4 mm apart with 1 mm voxels ASSD comes out as 3.8 mm.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.utils import get_edge_surface_distance

# MONAI returns float32 distances: a shift of exactly the tolerance must still count as within it.
_ROUNDING_MM = 1e-4
_HAUSDORFF_PERCENTILE = 95


@dataclass(frozen=True)
class SurfaceAgreement:
    """Surface Dice (0..1) at the tolerance, 95th percentile of the Hausdorff distance and average symmetric distance in mm."""

    nsd: float
    hd95_mm: float
    assd_mm: float


def surface_agreement(
    reference_kji: np.ndarray, prediction_kji: np.ndarray, spacing_kji_mm: Sequence[float], tolerance_mm: float
) -> SurfaceAgreement:
    """Measure two masks, neither of them empty.

    Args:
        reference_kji, prediction_kji: bool (K, J, I), same shape; voxels beyond the border count as outside.
        spacing_kji_mm: of both, axes at right angles.
        tolerance_mm: of the surface Dice.
    """
    truth, guess = (torch.from_numpy(np.ascontiguousarray(mask)) for mask in (reference_kji, prediction_kji))
    spacing = [float(s) for s in spacing_kji_mm]
    _, (from_guess, from_truth), _ = _surfaces(guess, truth, spacing, use_subvoxels=False)
    return SurfaceAgreement(
        nsd=_surface_dice(truth, guess, spacing, tolerance_mm),
        hd95_mm=float(max(np.percentile(d.numpy(), _HAUSDORFF_PERCENTILE) for d in (from_guess, from_truth))),
        assd_mm=float(torch.cat([from_guess, from_truth]).double().mean()),
    )


def _surface_dice(truth: torch.Tensor, guess: torch.Tensor, spacing: list[float], tolerance_mm: float) -> float:
    edges, distances, areas = _surfaces(guess, truth, spacing, use_subvoxels=True)
    close_mm2 = total_mm2 = 0.0
    for edge, distance_mm, area_mm2 in zip(edges, distances, areas, strict=True):
        element_mm2 = area_mm2[edge.bool()].double()
        close_mm2 += float(element_mm2[distance_mm <= tolerance_mm + _ROUNDING_MM].sum())
        total_mm2 += float(element_mm2.sum())
    return close_mm2 / total_mm2


def _surfaces(guess: torch.Tensor, truth: torch.Tensor, spacing: list[float], use_subvoxels: bool) -> tuple:
    """MONAI's edges, distances and areas of both."""
    with warnings.catch_warnings():
        # MONAI 1.5 and 1.6 pass themselves an argument that they call deprecated; 1.7 has neither. Users can do nothing about it.
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        return get_edge_surface_distance(guess, truth, spacing=spacing, use_subvoxels=use_subvoxels, symmetric=True)
