"""Which volume a journal belongs to: its grid in the world and a check sum of its voxels, the same in whatever order they are stored."""

import hashlib
from dataclasses import dataclass

import numpy as np

from mednextseg.geometry import Geometry

_SAMPLES_PER_AXIS = 48  # enough to tell volumes apart, few enough to take a millisecond


@dataclass(frozen=True, eq=False)
class VolumeStamp:
    """A volume's grid, its axes sorted to point to R, A and S as well as they do, and a check sum of some of its voxels.

    Attributes:
        shape_kji: number of voxels.
        ijk_to_ras: 4x4 in mm, world.
        voxels: SHA-256 of a regular sample of the intensities, 16 digits.
    """

    shape_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray
    voxels: str

    @classmethod
    def of(cls, volume_kji: np.ndarray, geometry: Geometry) -> "VolumeStamp":
        """The stamp of a volume (K, J, I) and its grid in the world."""
        matrix, array_ijk = geometry.ijk_to_ras.copy(), np.transpose(volume_kji)
        order = _nearest_axes(matrix[:3, :3])
        matrix[:3, :3], array_ijk = matrix[:3, :3][:, order], np.transpose(array_ijk, order)
        for axis in range(3):
            if matrix[axis, axis] < 0:  # it points away from R, A or S
                matrix[:3, 3] += matrix[:3, axis] * (array_ijk.shape[axis] - 1)
                matrix[:3, axis] *= -1
                array_ijk = np.flip(array_ijk, axis)
        steps = [max(1, -(-size // _SAMPLES_PER_AXIS)) for size in array_ijk.shape]
        sample = np.ascontiguousarray(array_ijk[tuple(slice(None, None, step) for step in steps)], "<f4") + 0.0
        sample[np.isnan(sample)] = np.nan
        return cls(array_ijk.shape[::-1], matrix, hashlib.sha256(sample.tobytes()).hexdigest()[:16])

    def check(self, volume_kji: np.ndarray, geometry: Geometry) -> None:
        """Raise ValueError in one sentence where a volume is not the one of this stamp."""
        other = VolumeStamp.of(volume_kji, geometry)
        theirs, mine = (" x ".join(str(n) for n in stamp.shape_kji[::-1]) for stamp in (self, other))
        if theirs != mine:
            raise ValueError(f"the journal was made on a volume of {theirs} voxels, this one has {mine}; choose that volume.")
        size = self.shape_kji[::-1]
        corners = np.array([[i, j, k, 1] for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])], float)
        moved_mm = np.abs((self.ijk_to_ras - other.ijk_to_ras) @ corners.T).max()
        if moved_mm > 0.01:
            raise ValueError(
                f"the journal was made on this volume at another place (up to {moved_mm:.2f} mm away); move the volume back first."
            )
        if self.voxels != other.voxels:
            raise ValueError("the journal was made on a volume with other intensities at the same place; choose that volume.")

    def to_dict(self) -> dict:
        """JSON-ready values."""
        return {"shape_kji": list(self.shape_kji), "ijk_to_ras": self.ijk_to_ras.tolist(), "voxels": self.voxels}

    @classmethod
    def from_dict(cls, values: dict) -> "VolumeStamp":
        """The stamp of `to_dict`; KeyError, TypeError or ValueError for anything else."""
        matrix = np.array(values["ijk_to_ras"], float).reshape(4, 4)
        if not np.isfinite(matrix).all():
            raise ValueError("a volume's matrix has only finite numbers.")
        return cls(tuple(int(n) for n in values["shape_kji"]), matrix, str(values["voxels"]))


def _nearest_axes(directions: np.ndarray) -> list[int]:
    """For R, A and S the voxel axis that points there best, each axis once."""
    cosines = np.abs(directions / np.linalg.norm(directions, axis=0))
    order = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(cosines.argmax(), (3, 3))
        order[world] = int(axis)
        cosines[world, :] = cosines[:, axis] = -1.0
    return order
