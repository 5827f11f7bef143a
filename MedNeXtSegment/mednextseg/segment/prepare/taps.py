"""Between which voxels of one grid each voxel of another lies, axis by axis."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Taps:
    """Which two source indices each target index of an axis lies between, and the share (float32) of the upper one."""

    lower: np.ndarray
    upper: np.ndarray
    upper_share: np.ndarray

    @classmethod
    def linear(cls, length_in: int, length_out: int) -> "Taps":
        """Neighbors by position; edges go on beyond the outermost centers."""
        return cls._at((np.arange(length_out) + 0.5) * length_in / length_out - 0.5, length_in)

    @classmethod
    def nearest(cls, length_in: int, length_out: int) -> "Taps":
        """The nearest source index, twice."""
        nearest = np.floor((np.arange(length_out) + 0.5) * length_in / length_out).astype(np.int64)
        nearest = np.minimum(nearest, length_in - 1)
        return cls(nearest, nearest, np.zeros(length_out, dtype=np.float32))

    @classmethod
    def stepping(cls, length_in: int, length_out: int, line: tuple[float, float]) -> "Taps":
        """Target n lies at `start` + n * `step` (the line) in voxels of the source; beyond the outer centers the edge goes on."""
        return cls._at(line[0] + np.arange(length_out) * line[1], length_in)

    @classmethod
    def _at(cls, position: np.ndarray, length_in: int) -> "Taps":
        position = np.clip(position, 0, length_in - 1)
        lower = np.floor(position).astype(np.int64)
        share = (position - lower).astype(np.float32)
        return cls(lower, np.where(share > 0, np.minimum(lower + 1, length_in - 1), lower), share)

    def part(self, targets: np.ndarray) -> "Taps":
        """Those of some of the target indices."""
        return Taps(self.lower[targets], self.upper[targets], self.upper_share[targets])

    def counted_from(self, first: int) -> "Taps":
        """The same where the source begins at index `first`."""
        return Taps(self.lower - first, self.upper - first, self.upper_share)

    def both(self, values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper neighbor of every target index along an axis of a plane."""
        lower = values.take(self.lower, axis=axis)
        return lower, values.take(self.upper, axis=axis) if self.upper_share.any() else lower

    def shares(self, target: int) -> tuple[np.float32, np.float32]:
        """The shares of the lower and the upper neighbor."""
        share = self.upper_share[target]
        return 1 - share, share

    def at(self, targets: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(source index, share) of every target index: the lower neighbors, then the upper ones."""
        share = self.upper_share[targets]
        yield self.lower[targets], 1 - share
        if share.any():
            yield self.upper[targets], share
