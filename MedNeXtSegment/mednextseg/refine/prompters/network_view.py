"""The square part of a slice that a network looks at, and the exact way there and back."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F


@dataclass(frozen=True)
class NetworkView:
    """A square of a slice, seen at size_px x size_px pixels. It may reach beyond the slice.

    Attributes:
        top, left: edge coordinates of its upper left corner; the edge of pixel 0 is 0, its center 0.5.
        side: length of its side in pixels of the slice.
        size_px: pixels of the network along each side.
    """

    top: float
    left: float
    side: float
    size_px: int

    @property
    def scale(self) -> float:
        """Network pixels for one pixel of the slice."""
        return self.size_px / self.side

    def points_to_view(self, points_rc: np.ndarray) -> np.ndarray:
        """(N, 2) slice indices to view indices (pixel centers on whole numbers in both)."""
        return (np.asarray(points_rc, float) + 0.5 - (self.top, self.left)) * self.scale - 0.5

    def points_to_slice(self, points_rc: np.ndarray) -> np.ndarray:
        """The inverse of `points_to_view`."""
        return (np.asarray(points_rc, float) + 0.5) / self.scale + (self.top, self.left) - 0.5

    def box_to_view(self, box: np.ndarray) -> np.ndarray:
        """r0, c0, r1, c1 (half-open ranges) of the slice to those of the view."""
        return (np.asarray(box, float) - (self.top, self.left, self.top, self.left)) * self.scale

    def cut(self, part_rc: np.ndarray) -> np.ndarray:
        """The view of a slice, (size_px, size_px) float32; smoothed first where it shrinks, 0 beyond the slice."""
        tensor = torch.from_numpy(np.array(part_rc, dtype=np.float32))[None, None]
        if self.scale < 0.83:
            tensor = self._smoothed(tensor, 0.4 / self.scale)
        index = (torch.arange(self.size_px, dtype=torch.float64) + 0.5) / self.scale
        return _sampled(tensor, index + self.top, index + self.left)

    def _smoothed(self, tensor: torch.Tensor, sigma_px: float) -> torch.Tensor:
        """A slice, smoothed where the view sees it; elsewhere it is 0."""
        sides = [
            slice(max(int(first) - 2, 0), max(min(int(first + self.side) + 3, length), 0))
            for first, length in zip((self.top, self.left), tensor.shape[2:], strict=True)
        ]
        smoothed = torch.zeros_like(tensor)
        smoothed[(..., *sides)] = _smoothed(tensor, sigma_px, sides)
        return smoothed

    def put_back(self, part_rc: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
        """The inverse of `cut`: a (size_px, size_px) map on the slice's pixels, (H, W) float32, 0 outside of the view."""
        tensor = torch.from_numpy(np.array(part_rc, dtype=np.float32))[None, None]
        rows = (torch.arange(shape_rc[0], dtype=torch.float64) + 0.5 - self.top) * self.scale
        cols = (torch.arange(shape_rc[1], dtype=torch.float64) + 0.5 - self.left) * self.scale
        rows_in, cols_in = (rows > 0) & (rows < self.size_px), (cols > 0) & (cols < self.size_px)
        result = np.zeros(shape_rc, np.float32)
        if rows_in.any() and cols_in.any():
            # Clamped to the outermost centers: the last half pixel continues the edge instead of fading to 0.
            rows, cols = (part.clamp(0.5, self.size_px - 0.5) for part in (rows[rows_in], cols[cols_in]))
            result[np.ix_(rows_in.numpy(), cols_in.numpy())] = _sampled(tensor, rows, cols)
        return result


def whole_slice(shape_rc: tuple[int, int], size_px: int) -> NetworkView:
    """The smallest square around a slice, centered."""
    side = float(max(shape_rc))
    return NetworkView((shape_rc[0] - side) / 2, (shape_rc[1] - side) / 2, side, size_px)


def view_around(box: np.ndarray, margin: float, least_side_px: float, shape_rc: tuple[int, int], size_px: int) -> NetworkView:
    """A square around a box, `margin` times as long as its longer side, shifted into the slice as far as it fits."""
    r0, c0, r1, c1 = box
    side = max(margin * max(r1 - r0, c1 - c0), least_side_px)
    if side >= max(shape_rc):
        return whole_slice(shape_rc, size_px)
    corner = [(r0 + r1 - side) / 2, (c0 + c1 - side) / 2]
    for axis, length in enumerate(shape_rc):
        corner[axis] = (length - side) / 2 if side >= length else min(max(corner[axis], 0.0), length - side)
    return NetworkView(corner[0], corner[1], side, size_px)


def _sampled(tensor: torch.Tensor, rows: torch.Tensor, cols: torch.Tensor) -> np.ndarray:
    """Bilinear values at edge coordinates (rows x cols); beyond the outermost pixel edges 0."""
    height, width = tensor.shape[2:]
    y, x = rows / height * 2 - 1, cols / width * 2 - 1
    grid = torch.stack(torch.broadcast_tensors(x[None, :], y[:, None]), dim=-1).to(torch.float32)[None]
    values = F.grid_sample(tensor, grid, mode="bilinear", padding_mode="border", align_corners=False)[0, 0]
    outside = ((y.abs() > 1)[:, None] | (x.abs() > 1)[None, :]).to(values.device)
    return values.masked_fill(outside, 0.0).numpy()


def _smoothed(tensor: torch.Tensor, sigma_px: float, sides: list[slice]) -> torch.Tensor:
    """Separable Gaussian with replicated edges, of a part of a slice."""
    radius = max(1, int(3 * sigma_px + 0.5))
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    kernel = kernel / kernel.sum()
    lengths = tensor.shape[2:]
    wide = [slice(max(s.start - radius, 0), min(s.stop + radius, n)) for s, n in zip(sides, lengths, strict=True)]
    (top, bottom), (left, right) = (
        (radius - (s.start - w.start), radius - (w.stop - s.stop)) for s, w in zip(sides, wide, strict=True)
    )
    padded = F.pad(tensor[(..., *wide)], (left, right, top, bottom), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
