"""A plane in RAS on which a slice is sampled. numpy only, so that the Slicer process can import it."""

import json
from dataclasses import dataclass

import numpy as np

from mednextseg.geometry import Geometry


@dataclass(frozen=True, eq=False)
class SlicePlane:
    """A grid of pixels on a plane.

    Attributes:
        origin_ras: (3,) mm, center of pixel (0, 0).
        row_direction_ras, col_direction_ras: (3,) unit vectors along which the row and the column number grow; at right angles.
        spacing_rc_mm: distance of pixel centers.
        shape_rc: pixels.
        thickness_mm: of the slab that the slice stands for; voxels whose center lies within half of it belong to the slice.
    Raises:
        ValueError: for directions that are not unit vectors at right angles, or a size that is not two positive numbers.
    """

    origin_ras: np.ndarray
    row_direction_ras: np.ndarray
    col_direction_ras: np.ndarray
    spacing_rc_mm: tuple[float, float]
    shape_rc: tuple[int, int]
    thickness_mm: float

    def __post_init__(self) -> None:
        for name in ("origin_ras", "row_direction_ras", "col_direction_ras"):
            vector = np.array(getattr(self, name), dtype=np.float64).reshape(3)
            vector.setflags(write=False)
            object.__setattr__(self, name, vector)
        axes = np.stack([self.row_direction_ras, self.col_direction_ras])
        if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-6):
            raise ValueError("a slice plane needs two unit vectors at right angles; got " + str(axes.tolist()) + ".")
        if (len(self.spacing_rc_mm), len(self.shape_rc)) != (2, 2) or any(int(n) != n for n in self.shape_rc):
            raise ValueError(
                f"a slice plane has two spacings and two whole numbers of pixels; got {self.spacing_rc_mm} and {self.shape_rc}."
            )
        object.__setattr__(self, "spacing_rc_mm", tuple(float(s) for s in self.spacing_rc_mm))
        object.__setattr__(self, "shape_rc", tuple(int(n) for n in self.shape_rc))
        if min(self.spacing_rc_mm) <= 0 or min(self.shape_rc) < 1 or self.thickness_mm <= 0:
            raise ValueError(f"a slice plane needs pixels, a positive spacing and thickness; got {self.shape_rc}.")

    @property
    def normal_ras(self) -> np.ndarray:
        """(3,) unit vector at right angles to the plane: column direction x row direction."""
        return np.cross(self.col_direction_ras, self.row_direction_ras)

    def ras_from_rc(self, points_rc: np.ndarray) -> np.ndarray:
        """(..., 2) continuous (row, col) to (..., 3) RAS in mm."""
        points = np.asarray(points_rc, float) * self.spacing_rc_mm
        return self.origin_ras + points[..., :1] * self.row_direction_ras + points[..., 1:] * self.col_direction_ras

    def rc_from_ras(self, points_ras: np.ndarray) -> np.ndarray:
        """(..., 3) RAS to (..., 2) continuous (row, col) of the foot on the plane."""
        offset = np.asarray(points_ras, float) - self.origin_ras
        axes = np.stack([self.row_direction_ras, self.col_direction_ras], axis=1)
        return offset @ axes / self.spacing_rc_mm

    def distance_mm(self, points_ras: np.ndarray) -> np.ndarray:
        """(...,) signed distance of RAS points from the plane, positive along the normal."""
        return (np.asarray(points_ras, float) - self.origin_ras) @ self.normal_ras

    def box_from_ras(self, corners_ras: np.ndarray) -> np.ndarray:
        """Two opposite corners (2, 3) in RAS to a half-open, sorted box r0, c0, r1, c1 whose edges pass through them."""
        corners = self.rc_from_ras(corners_ras) + 0.5  # from center to edge numbering
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])

    def shifted(self, distance_mm: float) -> "SlicePlane":
        """The same grid moved along the normal."""
        return SlicePlane(
            self.origin_ras + distance_mm * self.normal_ras,
            self.row_direction_ras,
            self.col_direction_ras,
            self.spacing_rc_mm,
            self.shape_rc,
            self.thickness_mm,
        )

    def to_dict(self) -> dict:
        """JSON-ready values; `from_dict` gives the identical plane back."""
        return {
            "origin_ras_mm": self.origin_ras.tolist(),
            "row_direction_ras": self.row_direction_ras.tolist(),
            "col_direction_ras": self.col_direction_ras.tolist(),
            "spacing_rc_mm": list(self.spacing_rc_mm),
            "shape_rc": list(self.shape_rc),
            "thickness_mm": self.thickness_mm,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "SlicePlane":
        """The plane of `to_dict`."""
        return cls(
            values["origin_ras_mm"],
            values["row_direction_ras"],
            values["col_direction_ras"],
            tuple(values["spacing_rc_mm"]),
            tuple(values["shape_rc"]),
            float(values["thickness_mm"]),
        )


def slab_thickness_mm(geometry: Geometry, normal_ras: np.ndarray) -> float:
    """Distance between neighboring voxel layers across a plane: along each line of voxels nearest to the normal exactly one
    center lies within half of it, so that slices put side by side neither overlap nor leave gaps."""
    return float(np.abs(geometry.ijk_to_ras[:3, :3].T @ np.asarray(normal_ras, float)).max())


def cut_thickness_mm(geometry: Geometry, normal_ras: np.ndarray) -> float:
    """Extent of a voxel across a plane: the center of every voxel that the plane cuts lies within half of it. On a plane of the
    grid's own it is that of the slab, on oblique ones up to sqrt(3) times as much."""
    return float(np.abs(geometry.ijk_to_ras[:3, :3].T @ np.asarray(normal_ras, float)).sum())


def voxel_plane(geometry: Geometry, axis_kji: int, index: int) -> SlicePlane:
    """The plane of `volume_kji.take(index, axis_kji)`, pixel for pixel.

    Raises:
        ValueError: for a sheared grid (its slices are no right-angled grids), or an axis or index it does not have.
    """
    if geometry.is_sheared:
        raise ValueError("the volume's axes are not at right angles; choose an anatomical plane instead of a voxel slice.")
    if not 0 <= axis_kji <= 2 or not 0 <= index < geometry.shape_kji[axis_kji]:
        raise ValueError(f"the volume has no slice {index} along axis {axis_kji}; its shape is {geometry.shape_kji}.")
    rows_kji, cols_kji = (axis for axis in range(3) if axis != axis_kji)
    start = np.zeros(3)
    start[2 - axis_kji] = index
    directions = geometry.directions_ras
    row, col = directions[:, 2 - rows_kji], directions[:, 2 - cols_kji]
    col = col - row * (row @ col)  # single precision headers are off by some 1e-4
    spacing = geometry.spacing_kji_mm
    return SlicePlane(
        geometry.ras_from_ijk(start),
        row,
        col / np.linalg.norm(col),
        (spacing[rows_kji], spacing[cols_kji]),
        (geometry.shape_kji[rows_kji], geometry.shape_kji[cols_kji]),
        spacing[axis_kji],
    )


def plane_through(
    geometry: Geometry,
    point_ras: np.ndarray,
    row_direction_ras: np.ndarray,
    col_direction_ras: np.ndarray,
    spacing_mm: float | None = None,
) -> SlicePlane:
    """A plane through a point that covers the whole volume, in any orientation.

    Where the plane is one of the volume's own slices, and the spacing the volume's, its pixels are the voxels.

    Args:
        geometry: of the volume in the world, parent transforms included.
        point_ras: (3,) mm, anywhere on the plane.
        row_direction_ras, col_direction_ras: (3,) towards growing row and column numbers; made unit vectors at right angles.
        spacing_mm: in both directions; None for the volume's finest spacing.
    """
    row = np.asarray(row_direction_ras, float) / np.linalg.norm(row_direction_ras)
    col = np.asarray(col_direction_ras, float)
    col = col - row * (row @ col)
    col = col / np.linalg.norm(col)
    normal = np.cross(col, row)
    steps = (spacing_mm, spacing_mm) if spacing_mm is not None else _native_spacing(geometry, row, col)
    half = 0.5 * np.array([slab_thickness_mm(geometry, axis) for axis in (row, col)])
    corners = geometry.corners_ras()
    distance = (np.asarray(point_ras, float) - corners[0]) @ normal
    along = corners @ np.stack([row, col], axis=1)
    low, high = along.min(axis=0), along.max(axis=0)
    shape = [max(1, int(np.ceil((high[n] - low[n] + 2 * half[n]) / steps[n] - 1e-6))) for n in range(2)]
    # Centered on the volume: whole voxels of overhang are shared evenly, and a native plane falls on the voxel centers.
    start = [(low[n] + high[n]) / 2 - steps[n] * (shape[n] - 1) / 2 for n in range(2)]
    on_plane = corners[0] + distance * normal
    origin = on_plane + (start[0] - on_plane @ row) * row + (start[1] - on_plane @ col) * col
    return SlicePlane(origin, row, col, steps, tuple(shape), slab_thickness_mm(geometry, normal))


def plane_from_slice_to_ras(geometry: Geometry, slice_to_ras: np.ndarray, spacing_mm: float | None = None) -> SlicePlane:
    """The plane of a Slicer slice view.

    Args:
        geometry: of the volume in the world.
        slice_to_ras: 4x4 of the slice node: x to the right on the screen, y upwards, z through it.
        spacing_mm: as in `plane_through`.
    """
    matrix = np.asarray(slice_to_ras, float)
    return plane_through(geometry, matrix[:3, 3], -matrix[:3, 1], matrix[:3, 0], spacing_mm)


def _native_spacing(geometry: Geometry, row: np.ndarray, col: np.ndarray) -> tuple[float, float]:
    """The voxel spacing along directions that are voxel axes; the finest spacing for oblique ones."""
    cosines = np.abs(geometry.directions_ras.T @ np.stack([row, col], axis=1))
    nearest = cosines.argmax(axis=0)
    if cosines.max(axis=0).min() > 1 - 1e-6 and nearest[0] != nearest[1]:
        return tuple(float(geometry.spacing_ijk_mm[axis]) for axis in nearest)
    finest = float(geometry.spacing_ijk_mm.min())
    return finest, finest


def key_of(plane: SlicePlane) -> str:
    """The same text for the same plane."""
    return json.dumps(plane.to_dict())


def is_same_plane(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether two planes have the identical grid."""
    return key_of(plane) == key_of(other)


def is_parallel(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether two planes have the same normal."""
    return bool(np.allclose(plane.normal_ras, other.normal_ras, atol=1e-6))


def has_same_grid(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether one plane is the other, moved along the normal."""
    moved = plane.shifted(float(plane.distance_mm(other.origin_ras)))
    is_alike = plane.shape_rc == other.shape_rc and np.allclose(plane.spacing_rc_mm, other.spacing_rc_mm, rtol=1e-6)
    directions = ("row_direction_ras", "col_direction_ras")
    is_alike &= all(np.allclose(getattr(plane, name), getattr(other, name), atol=1e-6) for name in directions)
    return is_alike and bool(np.allclose(moved.origin_ras, other.origin_ras, atol=1e-3))


def is_same_slice(plane: SlicePlane, other: SlicePlane) -> bool:
    """Whether two planes of one grid lie less than half a slice apart."""
    return has_same_grid(plane, other) and abs(float(plane.distance_mm(other.origin_ras))) < plane.thickness_mm / 2
