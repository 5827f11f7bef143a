"""Voxels onto a plane: the values of a volume on a SlicePlane."""

import numpy as np
from scipy import ndimage

from mednextseg.geometry import Geometry
from mednextseg.refine.slices.slice_plane import SlicePlane


def sample_slice(
    volume_kji: np.ndarray, geometry: Geometry, plane: SlicePlane, order: int = 1, outside: float | None = None
) -> np.ndarray:
    """The volume's values at the plane's pixel centers.

    Args:
        volume_kji: (K, J, I).
        geometry: of the volume in the world, that is with its parent transforms applied (`Geometry.transformed`).
        plane: where to sample.
        order: 1 linear, 0 nearest.
        outside: value beyond the volume; None for the volume's smallest finite value.
    Returns:
        (H, W) float32.
    """
    if volume_kji.shape != geometry.shape_kji:
        raise ValueError(f"the array is {volume_kji.shape}, its geometry says {geometry.shape_kji}; they must agree.")
    corners = plane.ras_from_rc([[0, 0], [plane.shape_rc[0] - 1, 0], [0, plane.shape_rc[1] - 1]])
    start, down, across = geometry.ijk_from_ras(corners)[:, ::-1]
    fill = smallest_finite(volume_kji) if outside is None else outside
    lines = _lines_of_voxels(start, down - start, across - start, plane.shape_rc)
    if lines is not None:
        return _values_on_lines(volume_kji, *lines, fill)
    rows, cols = (np.linspace(0.0, 1.0, n) if n > 1 else np.zeros(1) for n in plane.shape_rc)
    indices = start[:, None, None] + (down - start)[:, None, None] * rows[:, None] + (across - start)[:, None, None] * cols
    nearest = np.round(indices)
    indices = np.where(np.abs(indices - nearest) < 1e-6, nearest, indices)
    # Up to half a voxel beyond the outermost centers the image still is: the edge is repeated there, not faded out.
    limits = np.array(volume_kji.shape)[:, None, None] - 1.0
    inside = ((indices >= -0.5 - 1e-6) & (indices <= limits + 0.5 + 1e-6)).all(axis=0)
    # The volume is read as it is: a copy in another type would cost more than the slice.
    values = ndimage.map_coordinates(volume_kji, np.clip(indices, 0.0, limits), np.float32, order, mode="nearest")
    return np.where(inside, values, np.float32(fill))


def smallest_finite(volume_kji: np.ndarray) -> float:
    """The smallest intensity that is a finite number; 0 where there is none."""
    smallest = float(volume_kji.min())
    if np.isfinite(smallest):
        return smallest
    return float(np.min(volume_kji, where=np.isfinite(volume_kji), initial=np.inf)) if np.isfinite(volume_kji).any() else 0.0


def _lines_of_voxels(
    start: np.ndarray, down: np.ndarray, across: np.ndarray, shape_rc: tuple[int, int]
) -> tuple[list[np.ndarray], bool] | None:
    """Where pixels are voxels, which need no interpolation: their numbers along K, J and I, and whether rows of pixels come after
    columns there; None elsewhere.

    Args:
        start: KJI place of the first pixel.
        down, across: the ways from there to the last pixels of its column and of its row.
        shape_rc: pixels.
    """
    ways = list(zip((down, across), shape_rc, strict=True))
    first, steps = np.round(start), [np.round(way / max(count - 1, 1)) for way, count in ways]
    axes = [int(np.abs(step).argmax()) for step in steps]
    offs = [start - first, *(way - step * (count - 1) for (way, count), step in zip(ways, steps, strict=True))]
    if np.abs(offs).max() >= 1e-6 or any(np.count_nonzero(step) != 1 for step in steps) or axes[0] == axes[1]:
        return None
    lines = [np.array([int(number)]) for number in first]
    for axis, step, count in zip(axes, steps, shape_rc, strict=True):
        lines[axis] = int(first[axis]) + int(step[axis]) * np.arange(count)
    return lines, axes[0] > axes[1]


def _values_on_lines(volume_kji: np.ndarray, lines: list[np.ndarray], is_transposed: bool, fill: float) -> np.ndarray:
    """(H, W) float32: what `_lines_of_voxels` says of a volume, `fill` beyond it."""
    limits = [size - 1 for size in volume_kji.shape]
    inside = [line.clip(0, limit) for line, limit in zip(lines, limits, strict=True)]
    block = volume_kji[np.ix_(*inside)].astype(np.float32)
    for axis, (line, limit) in enumerate(zip(lines, limits, strict=True)):
        block.swapaxes(0, axis)[(line < 0) | (line > limit)] = fill
    values = block.reshape([len(line) for line in lines if len(line) > 1])
    return np.ascontiguousarray(values.T) if is_transposed else values
