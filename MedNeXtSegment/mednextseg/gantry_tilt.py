"""Series of a tilted gantry, whose slices lie aslant above each other, brought onto a grid with right angles."""

import logging
from pathlib import Path

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry

_LOG = logging.getLogger(__name__)


def straightened(folder: Path, volume_kji: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, Geometry]:
    """Slices shifted within their planes (linear) so that they lie right above each other, in a frame that holds them all.

    Args:
        folder: whose series it is, for the sentence that is logged.
        volume_kji: the slices as they were taken.
        geometry: sheared, as their positions say.
    Returns:
        The slices (float32) and their grid with right angles.
    """
    across, step = geometry.ijk_to_ras[:3, :2], geometry.ijk_to_ras[:3, 2]
    shift_ij, *_ = np.linalg.lstsq(across, step, rcond=None)  # voxels a slice
    shifts_ij = np.arange(len(volume_kji))[:, None] * shift_ij
    low_ij = np.floor(shifts_ij.min(axis=0) + 1e-6).astype(int)
    grow_ij = np.ceil(shifts_ij.max(axis=0) - 1e-6).astype(int) - low_ij
    shape_ji = tuple(int(n) for n in np.array(volume_kji.shape[1:]) + grow_ij[::-1])
    straight_kji = np.empty((len(volume_kji), *shape_ji), np.float32)
    for k, plane in enumerate(volume_kji):
        offset_ji = (low_ij - shifts_ij[k])[::-1]
        ndimage.affine_transform(
            plane.astype(np.float32), np.ones(2), offset_ji, shape_ji, straight_kji[k], order=1, cval=float(volume_kji.min())
        )
    matrix = geometry.ijk_to_ras.copy()
    matrix[:3, 2] = step - across @ shift_ij
    matrix[:3, 3] += across @ low_ij
    degrees = np.degrees(np.arctan2(np.linalg.norm(across @ shift_ij), np.linalg.norm(matrix[:3, 2])))
    _LOG.warning(
        "%s: its slices are tilted by %.3g degrees; they were resampled onto a grid with right angles.", folder, degrees
    )
    return straight_kji, Geometry(straight_kji.shape, matrix)
