"""Images onto other grids: separable spline resizing of aligned grids, and the general affine case."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from mednextseg.geometry import Geometry

_NEGLIGIBLE_WEIGHT = 1e-8
_PLANES_AT_ONCE = 16


@lru_cache(maxsize=32)
def axis_weights(length_in: int, length_out: int, order: int) -> np.ndarray:
    """(length_out, length_in) float32 matrix that resizes one axis by a spline of this order.

    The grids share their outer edges: output i lies at input (i + 0.5) * length_in / length_out - 0.5; beyond the first and last
    voxel center the edge voxel goes on. Spline interpolation is linear and separable, so applying scipy's own zoom to the unit vectors
    yields its weights exactly (scikit-image's resize, which nnU-Net uses, is the same zoom).
    """
    unit = np.eye(length_in)
    zoomed = ndimage.zoom(unit, (length_out / length_in, 1), order=order, mode="nearest", grid_mode=True)
    weights = zoomed.astype(np.float32)
    weights.setflags(write=False)
    return weights


def resize(
    volume_kji: np.ndarray, shape_kji: Sequence[int], orders_kji: Sequence[int] = (3, 3, 3), clip: bool = False
) -> np.ndarray:
    """Resize a float32 volume to another number of voxels between the same outer edges; spline order for each axis.

    Equal to scipy.ndimage.zoom to float32 rounding.

    Args:
        volume_kji: float32 (K, J, I).
        shape_kji: voxels of the result.
        orders_kji: spline order along each axis.
        clip: keep the result within the input's range, as scikit-image does; where one axis has order 0, slice by slice across it.
    """
    resized = np.empty(tuple(shape_kji), dtype=np.float32)
    resize_planes(lambda planes: volume_kji[planes], volume_kji.shape, resized, orders_kji, clip)
    return resized


def resize_planes(
    read: Callable[[slice], np.ndarray],
    shape_kji: Sequence[int],
    out_kji: np.ndarray,
    orders_kji: Sequence[int] = (3, 3, 3),
    clip: bool = False,
    device: str = "cpu",
) -> None:
    """As `resize`, for a volume that is read in pieces: neither it nor what lies between need exist whole.

    Rows and columns are one matrix product each. Along K the weights of a cubic spline fall by the factor 0.27 a plane, so that only
    near planes take part.

    Args:
        read: gives float32 (planes, J, I) for a slice along K; called once for each plane, in order.
        shape_kji: of the volume.
        out_kji: float32, C-contiguous; receives the result.
        device: that multiplies; a card gets and gives back some planes at a time.
    """
    limits = _Limits(orders_kji)
    k_weights = torch.tensor(axis_weights(shape_kji[0], out_kji.shape[0], orders_kji[0]))
    window, window_start = (
        torch.empty(0, *out_kji.shape[1:], device=device),
        0,
    )  # resized rows and columns of the planes that are still needed
    for target in _portions(0, out_kji.shape[0]):
        needed = _support(k_weights[target])
        fresh = [window[needed.start - window_start :]]
        for source in _portions(window_start + len(window), needed.stop):
            planes_kji = np.ascontiguousarray(read(source))
            limits.add(planes_kji)
            resized = _resized_in_plane(torch.tensor(planes_kji, device=device), out_kji.shape, orders_kji)
            fresh.append(resized[max(0, needed.start - source.start) :])
        window, window_start = torch.cat(fresh), needed.start
        mixed = k_weights[target, needed].to(device) @ window[: needed.stop - needed.start].flatten(1)
        torch.from_numpy(out_kji[target]).copy_(mixed.view(-1, *out_kji.shape[1:]))
    if clip:
        np.clip(out_kji, *limits.on_grid(out_kji.shape), out=out_kji)


class _Limits:
    """Smallest and largest value of a volume that is read in pieces: of all of it, or of each slice across an axis of order 0."""

    def __init__(self, orders_kji: Sequence[int]) -> None:
        self._coarse = [axis for axis in range(3) if orders_kji[axis] == 0]
        self._low: list[np.ndarray] = []
        self._high: list[np.ndarray] = []

    def add(self, planes_kji: np.ndarray) -> None:
        fine = tuple(axis for axis in range(3) if axis not in self._coarse)
        self._low.append(planes_kji.min(axis=fine, keepdims=True))
        self._high.append(planes_kji.max(axis=fine, keepdims=True))

    def on_grid(self, shape_kji: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Both, for each slice of the grid the volume was resized to; they broadcast to it."""
        low, high = np.concatenate(self._low), np.concatenate(self._high)
        if 0 not in self._coarse:
            low, high = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
        for axis in self._coarse:
            nearest = axis_weights(low.shape[axis], shape_kji[axis], 0).argmax(axis=1)
            low, high = low.take(nearest, axis=axis), high.take(nearest, axis=axis)
        return low, high


def _portions(start: int, stop: int) -> Iterator[slice]:
    return (slice(first, min(first + _PLANES_AT_ONCE, stop)) for first in range(start, stop, _PLANES_AT_ONCE))


def _support(weights: Tensor) -> slice:
    """The columns of a matrix that count in float32."""
    used = torch.nonzero((weights.abs() > _NEGLIGIBLE_WEIGHT).any(dim=0)).flatten()
    return slice(int(used[0]), int(used[-1]) + 1)


def _resized_in_plane(planes_kji: Tensor, shape_kji: Sequence[int], orders_kji: Sequence[int]) -> Tensor:
    """(planes, J, I) with rows and columns of the other grid; the axis that shrinks most goes first."""
    for axis in sorted((1, 2), key=lambda axis: shape_kji[axis] / planes_kji.shape[axis]):
        if planes_kji.shape[axis] != shape_kji[axis]:
            weights = torch.tensor(
                axis_weights(planes_kji.shape[axis], shape_kji[axis], orders_kji[axis]), device=planes_kji.device
            )
            planes_kji = weights @ planes_kji if axis == 1 else planes_kji @ weights.T
    return planes_kji


def resized_geometry(geometry: Geometry, shape_kji: Sequence[int]) -> Geometry:
    """The grid of `resize(array, shape_kji)` for an array that lies at `geometry`: same outer edges, other spacing."""
    scale_ijk = np.array(geometry.shape_ijk) / np.array(shape_kji[::-1])
    old_from_new = np.diag([*scale_ijk, 1.0])
    old_from_new[:3, 3] = (scale_ijk - 1) / 2
    return Geometry(tuple(shape_kji), geometry.ijk_to_ras @ old_from_new)


def resample_affine(volume_kji: np.ndarray, source: Geometry, target: Geometry, order: int) -> np.ndarray:
    """Interpolate a volume at the voxel centers of any other grid (rotated, sheared, ...); float32.

    Outside the source its edge voxels go on.
    """
    source_from_target = np.linalg.inv(source.ijk_to_ras) @ target.ijk_to_ras
    matrix_kji = source_from_target[:3, :3][::-1, ::-1]
    offset_kji = source_from_target[:3, 3][::-1]
    volume = volume_kji.astype(np.float32)
    return ndimage.affine_transform(volume, matrix_kji, offset_kji, target.shape_kji, order=order, mode="nearest")


def anatomical_grid(geometry: Geometry, orientation: str, spacing_kji_mm: Sequence[float]) -> Geometry:
    """The smallest grid along the anatomical axes that holds every voxel of a rotated or sheared one."""
    axes = np.zeros((3, 3))
    for column, letter in enumerate(orientation):
        row = "RASLPI".index(letter) % 3
        axes[row, column] = 1 if letter in "RAS" else -1
    corners = geometry.corners_ras() @ axes  # mm along the new I, J, K
    spacing_ijk = np.array(spacing_kji_mm[::-1])
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape_ijk = np.maximum(np.ceil((high - low) / spacing_ijk - 1e-6) + 1, 1).astype(int)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * spacing_ijk
    matrix[:3, 3] = axes @ (low - (shape_ijk - 1 - (high - low) / spacing_ijk) / 2 * spacing_ijk)
    return Geometry(tuple(shape_ijk[::-1]), matrix)
