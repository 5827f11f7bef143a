"""The grid that MONAI resamples a volume onto, to the voxel (monai.data.utils: zoom_affine, compute_shape_offset).

MONAI keeps the first voxel's center where its axes are at right angles to eight digits, and the middle of the volume where rounding in the
file leaves them a little off: so do we.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from mednextseg.geometry import Geometry
from mednextseg.models.preparation import Resample
from mednextseg.segment.prepare.largest_grid import check_network_size

_TOLERANCE_MM = 1e-3  # of spacings that are left as they are
_NEGLIGIBLE = 1e-8  # in voxels
_PLANES_AT_ONCE = 2
_TO_MONAI = [2, 1, 0, 3]  # its first axis is our K


def resampled_grid(grid: Geometry, step: Resample) -> Geometry:
    """The grid after a step of resampling.

    Raises:
        ValueError: for a sheared volume, which MONAI would straighten, and for a grid that no machine takes.
    """
    if grid.is_sheared:
        raise ValueError(
            "the volume's axes are not at right angles (gantry tilt?), and this model's images are resampled along them; resample "
            "it onto right angles first, in Slicer with the module Resample Scalar/Vector/DWI Volume."
        )
    affine = grid.ijk_to_ras[:, _TO_MONAI]
    spacing = np.array(step.spacing_kji_mm)
    for axis, own in enumerate(np.linalg.norm(affine[:3, :3], axis=0)):
        low, high = step.kept_kji_mm[axis] if step.kept_kji_mm else (spacing[axis], spacing[axis])
        if low - _TOLERANCE_MM <= own <= high + _TOLERANCE_MM:
            spacing[axis] = own
    upper = np.linalg.cholesky(affine[:3, :3].T @ affine[:3, :3]).T
    new = np.eye(4)
    new[:3, :3] = affine[:3, :3] @ np.linalg.inv(upper) @ np.diag(np.sign(np.diag(upper)) * spacing)
    new[:3, 3] = affine[:3, 3]
    shape, new[:3, 3] = _shape_and_offset(np.array(grid.shape_kji, dtype=float), affine, new)
    check_network_size(shape.tolist(), grid.spacing_kji_mm)
    return Geometry(tuple(shape.astype(int).tolist()), new[:, _TO_MONAI])


def lines_between(source: Geometry, target: Geometry) -> tuple[tuple[float, float], ...]:
    """Where the voxels of `target` lie in `source`, whose axes are the same: (start, step) along K, J, I, in voxels."""
    matrix = _voxels_between(source, target)
    return tuple((float(matrix[axis, 3]), float(matrix[axis, axis])) for axis in range(3))


def nearest_values(
    values_kji: np.ndarray, source: Geometry, target: Geometry, dtype: torch.dtype = torch.float64
) -> np.ndarray:
    """The values of the nearest voxels, edge voxels going on beyond the outer centers; same dtype.

    Positions half-way between two voxels are common (0.75 mm to 1.5 mm). There the rounding of torch's own sampling decides, which counts
    from -1 to 1 between the outer edges; so that sampling is used, and labels are those of programs that use it.

    Args:
        values_kji: (K, J, I) on `source`; numbers that `dtype` holds.
        dtype: in which positions are counted.
    """
    to_voxels = np.eye(4)
    to_voxels[:3] = _voxels_between(source, target)[:3]
    from_unit = torch.from_numpy(np.linalg.inv(_unit_matrix(target.shape_kji).to(dtype).numpy()))
    theta = _unit_matrix(source.shape_kji).to(dtype) @ torch.from_numpy(to_voxels).to(dtype) @ from_unit
    theta_ijk = theta[[2, 1, 0]][:, [2, 1, 0, 3]].T.contiguous()
    k, j, i = (torch.linspace(-1, 1, n, dtype=dtype) * ((n - 1) / n) for n in target.shape_kji)
    volume = torch.from_numpy(np.ascontiguousarray(values_kji)).to(dtype)[None, None]
    nearest_kji = np.empty(target.shape_kji, dtype=values_kji.dtype)
    for first in range(0, len(k), _PLANES_AT_ONCE):
        planes = k[first : first + _PLANES_AT_ONCE]
        base = torch.stack([part.expand(len(planes), len(j), len(i)) for part in _ijk_places(planes, j, i)], dim=-1)
        grid = (base.view(-1, 4) @ theta_ijk).view(1, len(planes), len(j), len(i), 3)
        sampled = grid_sample(volume, grid, mode="nearest", padding_mode="border", align_corners=False)
        nearest_kji[first : first + len(planes)] = sampled[0, 0].numpy()
    return nearest_kji


def _voxels_between(source: Geometry, target: Geometry) -> np.ndarray:
    """4x4: K, J, I of the target -> of the source."""
    return np.linalg.solve(source.ijk_to_ras[:, _TO_MONAI], target.ijk_to_ras[:, _TO_MONAI])


def _ijk_places(k: Tensor, j: Tensor, i: Tensor) -> tuple[Tensor, ...]:
    return i[None, None], j[None, :, None], k[:, None, None], torch.ones(1, 1, 1, dtype=k.dtype)


def _unit_matrix(shape_kji: Sequence[int]) -> Tensor:
    """4x4: voxel numbers -> -1 at the outer edges of the first voxels, 1 at those of the last."""
    lengths = torch.tensor(tuple(shape_kji), dtype=torch.float64)
    matrix = torch.diag(torch.cat((2.0 / lengths, torch.ones(1, dtype=torch.float64))))
    matrix[:3, 3] = 1.0 / lengths - 1.0
    return matrix


def _shape_and_offset(shape: np.ndarray, affine: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array(np.meshgrid(*[(0.0, n - 1.0) for n in shape], indexing="ij")).reshape(3, -1)
    corners = np.concatenate((corners, np.ones_like(corners[:1])))
    places = (np.linalg.solve(new, affine) @ corners)[:3]
    new_shape = np.round(np.ptp(places, axis=1) + 1.0)
    for index, place in enumerate(places.T):
        if np.abs((places - place[:, None]).min(axis=1)).max() <= _NEGLIGIBLE:
            return new_shape, (affine @ corners)[:3, index]
    return new_shape, affine[:3, :3] @ (shape / 2) + affine[:3, 3] - new[:3, :3] @ (new_shape / 2)
