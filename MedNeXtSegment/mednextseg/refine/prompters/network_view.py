"""The square part of a slice that a network looks at, and the exact way there and back. numpy and scipy only: the random walker needs no
torch."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


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
        image = np.asarray(part_rc, np.float32)
        if self.scale < 0.83:
            image = self._smoothed(image, 0.4 / self.scale)
        index = (np.arange(self.size_px) + 0.5) / self.scale
        return _sampled(image, index + self.top, index + self.left)

    def _smoothed(self, image_rc: np.ndarray, sigma_px: float) -> np.ndarray:
        """A slice, smoothed where the view sees it; elsewhere it is 0."""
        sides = [
            slice(max(int(first) - 2, 0), max(min(int(first + self.side) + 3, length), 0))
            for first, length in zip((self.top, self.left), image_rc.shape, strict=True)
        ]
        smoothed = np.zeros_like(image_rc)
        smoothed[tuple(sides)] = _smoothed(image_rc, sigma_px, sides)
        return smoothed

    def put_back(self, part_rc: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
        """The inverse of `cut`: a (size_px, size_px) map on the slice's pixels, (H, W) float32, 0 outside of the view."""
        rows, cols = (
            (np.arange(length) + 0.5 - first) * self.scale
            for length, first in zip(shape_rc, (self.top, self.left), strict=True)
        )
        rows_in, cols_in = ((places > 0) & (places < self.size_px) for places in (rows, cols))
        result = np.zeros(shape_rc, np.float32)
        if rows_in.any() and cols_in.any():
            # Clamped to the outermost centers: the last half pixel continues the edge instead of fading to 0.
            rows, cols = (np.clip(part, 0.5, self.size_px - 0.5) for part in (rows[rows_in], cols[cols_in]))
            result[np.ix_(rows_in, cols_in)] = _sampled(np.asarray(part_rc, np.float32), rows, cols)
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


def _sampled(image_rc: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear values at edge coordinates (rows x cols), float32; beyond the outermost pixel edges 0."""
    for axis, places in enumerate((rows, cols)):
        length = image_rc.shape[axis]
        centers = np.clip(places - 0.5, 0, length - 1)
        before = np.minimum(centers.astype(int), max(length - 2, 0))
        weight = (centers - before).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight
        after = np.minimum(before + 1, length - 1)
        image_rc = image_rc.take(before, axis) * (1 - weight) + image_rc.take(after, axis) * weight
        outside = (places < 0) | (places > length)
        image_rc[outside if axis == 0 else (slice(None), outside)] = 0.0
    return image_rc


def _smoothed(image_rc: np.ndarray, sigma_px: float, sides: list[slice]) -> np.ndarray:
    """Separable Gaussian with replicated edges, of a part of a slice."""
    radius = max(1, int(3 * sigma_px + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    wide = tuple(slice(max(s.start - radius, 0), s.stop + radius) for s in sides)
    part = image_rc[wide]
    for axis in (0, 1):
        part = ndimage.correlate1d(part, kernel / kernel.sum(), axis, mode="nearest")
    return part[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(sides, wide, strict=True))]
