"""A part of a slice, seen at every so many pixels: what a walk in three dimensions can afford of large objects."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.refine.slices.slice_plane import SlicePlane


@dataclass(frozen=True)
class SliceWindow:
    """Rows and columns of blocks of pixels.

    Attributes:
        top, left: the first pixel.
        shape_rc: blocks.
        step: pixels along each side of a block.
    """

    top: int
    left: int
    shape_rc: tuple[int, int]
    step: int

    @classmethod
    def around(cls, mask_rc: np.ndarray, pad_rc: tuple[int, int], step: int) -> "SliceWindow":
        """So many pixels more than a (H, W) bool mask on each side, as far as the slice reaches."""
        ranges = []
        for axis, (pad, length) in enumerate(zip(pad_rc, mask_rc.shape, strict=True)):
            there = np.flatnonzero(mask_rc.any(axis=1 - axis))
            first = max(int(there[0]) - pad, 0)
            ranges.append((first, -(-(min(int(there[-1]) + 1 + pad, length) - first) // step)))
        return cls(ranges[0][0], ranges[1][0], (ranges[0][1], ranges[1][1]), step)

    def plane(self, plane: SlicePlane) -> SlicePlane:
        """The plane whose pixels are the blocks."""
        middle = (self.step - 1) / 2
        origin = plane.ras_from_rc([self.top + middle, self.left + middle])
        spacing = tuple(self.step * length for length in plane.spacing_rc_mm)
        return SlicePlane(origin, plane.row_direction_ras, plane.col_direction_ras, spacing, self.shape_rc, plane.thickness_mm)

    def cut(self, part_rc: np.ndarray) -> np.ndarray:
        """The means over the blocks of a (H, W) slice; beyond the slice it is 0."""
        rows, cols = self.shape_rc
        part = part_rc[self.top : self.top + rows * self.step, self.left : self.left + cols * self.step]
        missing = [(0, count * self.step - length) for count, length in zip(self.shape_rc, part.shape, strict=True)]
        return np.pad(part, missing).reshape(rows, self.step, cols, self.step).mean(axis=(1, 3))

    def put_back(self, part_rc: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
        """(H, W) float32: blocks on the slice's pixels, interpolated linearly; 0 outside of the window."""
        if self.step > 1:
            part_rc = ndimage.zoom(part_rc, self.step, order=1, mode="nearest", grid_mode=True)
        result = np.zeros(shape_rc, np.float32)
        there = result[self.top : self.top + part_rc.shape[0], self.left : self.left + part_rc.shape[1]]
        there[:] = part_rc[: there.shape[0], : there.shape[1]]
        return result

    def inner_border(self, shape_rc: tuple[int, int]) -> np.ndarray:
        """(rows, cols) bool: the outermost blocks, but for those at the end of the slice."""
        border = np.zeros(self.shape_rc, bool)
        border[0] |= self.top > 0
        border[-1] |= self.top + self.shape_rc[0] * self.step < shape_rc[0]
        border[:, 0] |= self.left > 0
        border[:, -1] |= self.left + self.shape_rc[1] * self.step < shape_rc[1]
        return border
