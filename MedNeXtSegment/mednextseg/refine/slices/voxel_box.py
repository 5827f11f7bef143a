"""Boxes of voxels: where a segment, or what a slice says of it, may have voxels at all."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VoxelBox:
    """A half-open box of a (K, J, I) array; empty where a stop is not beyond its start."""

    start_kji: tuple[int, int, int] = (0, 0, 0)
    stop_kji: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of_mask(cls, mask_kji: np.ndarray) -> "VoxelBox":
        """The smallest box around the voxels of a bool array."""
        across = mask_kji.any(axis=0)
        sides = [np.flatnonzero(line) for line in (mask_kji.any(axis=(1, 2)), across.any(axis=1), across.any(axis=0))]
        return cls._around(sides)

    @classmethod
    def of_voxels(cls, voxels: np.ndarray, shape_kji: tuple[int, int, int]) -> "VoxelBox":
        """The smallest box around voxels given by flat indices."""
        return cls._around(np.unravel_index(voxels, shape_kji))

    @classmethod
    def _around(cls, sides) -> "VoxelBox":
        if not all(len(side) for side in sides):
            return cls()
        return cls(tuple(int(side.min()) for side in sides), tuple(int(side.max()) + 1 for side in sides))

    @property
    def is_empty(self) -> bool:
        return any(stop <= start for start, stop in zip(self.start_kji, self.stop_kji, strict=True))

    def joined(self, other: "VoxelBox") -> "VoxelBox":
        """The smallest box around both."""
        if self.is_empty or other.is_empty:
            return other if self.is_empty else self
        starts, stops = zip(self.start_kji, other.start_kji, strict=True), zip(self.stop_kji, other.stop_kji, strict=True)
        return VoxelBox(tuple(min(pair) for pair in starts), tuple(max(pair) for pair in stops))

    def common(self, other: "VoxelBox") -> "VoxelBox":
        """What lies in both."""
        starts, stops = zip(self.start_kji, other.start_kji, strict=True), zip(self.stop_kji, other.stop_kji, strict=True)
        return VoxelBox(tuple(max(pair) for pair in starts), tuple(min(pair) for pair in stops))
