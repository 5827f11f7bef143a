"""Where an image lies in the patient: the frozen Geometry that travels with every array.

Frames: IJK are voxel indices (I fastest), KJI is the axis order of numpy arrays, RAS is Slicer's world in mm
(right, anterior, superior), LPS is that of DICOM and ITK (first two axes negated). Voxel centers lie on whole indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

_POSITIVE, _NEGATIVE = "RAS", "LPI"
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Geometry:
    """Shape and placement of a voxel grid.

    Args:
        shape_kji: number of voxels along K, J, I.
        ijk_to_ras: 4x4, float64; voxel indices (i, j, k, 1) to RAS in mm. Shear is allowed.
    Raises:
        ValueError: for an empty grid, a matrix that is not finite, or a singular one (zero spacing included).
    """

    shape_kji: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape_kji)
        matrix = np.array(self.ijk_to_ras, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a volume needs three axes of at least one voxel, got shape {self.shape_kji}.")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"the IJK-to-RAS matrix must be 4x4 and finite, got {matrix.tolist()}.")
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if spacing.min() == 0:
            raise ValueError(f"the voxel spacing must be positive, got {spacing.tolist()} mm; correct it in the file.")
        if abs(np.linalg.det(matrix[:3, :3] / spacing)) < 1e-6:
            raise ValueError("the volume's axis directions are singular: two axes point the same way; correct the file.")
        matrix.setflags(write=False)
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "ijk_to_ras", matrix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Geometry) and self.matches(other, tolerance_mm=0.0)

    __hash__ = None  # type: ignore[assignment] # how Python says "not hashable"

    def matches(self, other: "Geometry", tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids have the same shape and no voxel center differs by more than `tolerance_mm`."""
        if self.shape_kji != other.shape_kji:
            return False
        distance = np.linalg.norm(self.corners_ras() - other.corners_ras(), axis=1)
        return bool(distance.max() <= tolerance_mm)

    @property
    def shape_ijk(self) -> tuple[int, int, int]:
        return self.shape_kji[::-1]

    @property
    def spacing_ijk_mm(self) -> np.ndarray:
        """(3,) distance between neighboring voxel centers along I, J, K."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        k, j, i = self.spacing_ijk_mm[::-1].tolist()
        return k, j, i

    @property
    def directions_ras(self) -> np.ndarray:
        """3x3; columns are the unit vectors of the I, J and K axes in RAS."""
        return self.ijk_to_ras[:3, :3] / self.spacing_ijk_mm

    @property
    def voxel_volume_mm3(self) -> float:
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])))

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not at right angles (beyond the rounding of single precision headers)."""
        directions = self.directions_ras
        return bool(np.abs(directions.T @ directions - np.eye(3)).max() > 1e-3)

    @property
    def shear_deg(self) -> float:
        """How far the angle between two axes is from a right one, at the most."""
        cosines = np.abs(self.directions_ras.T @ self.directions_ras)[np.triu_indices(3, 1)]
        return float(np.degrees(np.arcsin(np.clip(cosines.max(), 0.0, 1.0))))

    def squared(self) -> "Geometry":
        """The grid with right angles that is nearest: same spacing and center, axes turned as little as possible."""
        left, _, right = np.linalg.svd(self.directions_ras)
        matrix = np.eye(4)
        matrix[:3, :3] = left @ right * self.spacing_ijk_mm
        middle_ijk = (np.array(self.shape_ijk) - 1) / 2
        matrix[:3, 3] = self.ras_from_ijk(middle_ijk) - matrix[:3, :3] @ middle_ijk
        return Geometry(self.shape_kji, matrix)

    @property
    def orientation(self) -> str:
        """Three letters: the anatomical direction nearest to +I, +J, +K, for instance "RAS" or "LPS"."""
        signs, axes = self._nearest_axes()
        return "".join(_POSITIVE[axis] if sign > 0 else _NEGATIVE[axis] for sign, axis in zip(signs, axes, strict=True))

    @property
    def obliquity_deg(self) -> float:
        """Largest angle between a voxel axis and the anatomical axis its orientation letter names."""
        signs, axes = self._nearest_axes()
        cosines = [self.directions_ras[axis, column] * signs[column] for column, axis in enumerate(axes)]
        return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))

    def _nearest_axes(self) -> tuple[list[int], list[int]]:
        """For I, J, K: the sign and index (0 R, 1 A, 2 S) of the anatomical axis, by the best total alignment."""
        directions = self.directions_ras
        axes = max(permutations(range(3)), key=lambda order: sum(abs(directions[a, c]) for c, a in enumerate(order)))
        return [1 if directions[axis, column] >= 0 else -1 for column, axis in enumerate(axes)], list(axes)

    def ras_from_ijk(self, points_ijk: np.ndarray) -> np.ndarray:
        """(..., 3) continuous voxel indices (i, j, k) to (..., 3) RAS in mm."""
        return np.asarray(points_ijk) @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]

    def ijk_from_ras(self, points_ras: np.ndarray) -> np.ndarray:
        """(..., 3) RAS in mm to (..., 3) continuous voxel indices (i, j, k)."""
        return (np.asarray(points_ras) - self.ijk_to_ras[:3, 3]) @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T

    def corners_ras(self) -> np.ndarray:
        """(8, 3) RAS of the centers of the corner voxels."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape_ijk], indexing="ij")).reshape(3, -1).T
        return self.ras_from_ijk(corners)

    def cropped(self, start_kji: Sequence[int], stop_kji: Sequence[int]) -> "Geometry":
        """The grid of `array[start:stop]` along K, J, I; start may be negative and stop beyond the end (padding)."""
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.ras_from_ijk(np.asarray(start_kji, dtype=float)[::-1])
        slices, rows, columns = (int(stop) - int(start) for start, stop in zip(start_kji, stop_kji, strict=True))
        return Geometry((slices, rows, columns), matrix)

    def transformed(self, ras_to_ras: np.ndarray) -> "Geometry":
        """The grid moved by a 4x4 RAS-to-RAS transform, such as the parent transform of a Slicer node."""
        return Geometry(self.shape_kji, np.asarray(ras_to_ras, dtype=np.float64) @ self.ijk_to_ras)

    def __repr__(self) -> str:
        k, j, i = self.shape_kji
        dk, dj, di = self.spacing_kji_mm
        return f"Geometry({k} x {j} x {i} voxels KJI, {dk:.3g} x {dj:.3g} x {di:.3g} mm, {self.orientation})"


@dataclass(frozen=True)
class AxisMap:
    """A permutation and flips of voxel axes: how an array is turned from one orientation into another.

    Attributes:
        order_kji: axis of the source array that becomes axis n.
        flips_kji: which axes of the permuted array are reversed.
    """

    order_kji: tuple[int, ...]
    flips_kji: tuple[bool, ...]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Turn the last three (KJI) axes; a view, no copy."""
        lead = array.ndim - 3
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.order_kji))
        return np.flip(turned, tuple(lead + axis for axis in range(3) if self.flips_kji[axis]))

    def invert(self, array: np.ndarray) -> np.ndarray:
        """Undo `apply`; a view, no copy."""
        lead = array.ndim - 3
        unflipped = np.flip(array, tuple(lead + axis for axis in range(3) if self.flips_kji[axis]))
        return unflipped.transpose(*range(lead), *(lead + axis for axis in np.argsort(self.order_kji)))

    def apply_geometry(self, geometry: Geometry) -> Geometry:
        """The geometry of `apply(array)` for an array that lies at `geometry`."""
        slices, rows, columns = (geometry.shape_kji[axis] for axis in self.order_kji)
        shape = (slices, rows, columns)
        old_from_new = np.eye(4)
        old_from_new[:3, :3] = 0
        for new_kji, old_kji in enumerate(self.order_kji):
            new_ijk, old_ijk = 2 - new_kji, 2 - old_kji
            flip = self.flips_kji[new_kji]
            old_from_new[old_ijk, new_ijk] = -1 if flip else 1
            old_from_new[old_ijk, 3] = shape[new_kji] - 1 if flip else 0
        return Geometry(shape, geometry.ijk_to_ras @ old_from_new)


def axis_map(source: str, target: str) -> AxisMap:
    """The turn from one orientation code to another, for instance from "LPS" to "RAS" (letters for +I, +J, +K).

    Raises:
        ValueError: for a code that does not name each anatomical axis once.
    """
    source_kji, target_kji = validated_orientation(source)[::-1], validated_orientation(target)[::-1]
    source_axes = [_axis_of(letter) for letter in source_kji]
    order = tuple(source_axes.index(_axis_of(letter)) for letter in target_kji)
    flips = tuple(source_kji[old] != letter for old, letter in zip(order, target_kji, strict=True))
    return AxisMap(order, flips)


def validated_orientation(code: str) -> str:
    """The code itself where it is a valid orientation such as "RAS"; ValueError otherwise."""
    if len(code) != 3 or any(letter not in _POSITIVE + _NEGATIVE for letter in code) or len({_axis_of(c) for c in code}) != 3:
        raise ValueError(f'an orientation is three letters, one each of R/L, A/P, S/I (such as "RAS"), got {code!r}.')
    return code


def _axis_of(letter: str) -> int:
    return _POSITIVE.find(letter) if letter in _POSITIVE else _NEGATIVE.find(letter)
