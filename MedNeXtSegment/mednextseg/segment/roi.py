"""A region of interest: a box in RAS, possibly rotated, and what it covers of a voxel grid."""

from dataclasses import dataclass, field

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.json_values import json_list, number, shown

_SMALLEST_BOX = 1e-12


@dataclass(frozen=True)
class RegionOfInterest:
    """A box in space, possibly rotated.

    Args:
        bounds_mm: (x0, x1, y0, y1, z0, z1) in the box's own frame; each pair in either order.
        box_to_ras: 4x4 from that frame to RAS; the identity makes `bounds_mm` RAS bounds.
    Raises:
        ValueError: for a box without volume or with bounds that are not finite.
    """

    bounds_mm: tuple[float, ...]
    box_to_ras: np.ndarray = field(default_factory=lambda: np.eye(4))

    def __post_init__(self) -> None:
        if len(self.bounds_mm) != 6 or not np.isfinite(self.bounds_mm).all():
            raise ValueError(f"a region of interest needs six finite numbers X0,X1,Y0,Y1,Z0,Z1 in mm, got {self.bounds_mm}.")
        lower, upper = self._limits()
        if (upper <= lower).any():
            raise ValueError(f"the region of interest {tuple(self.bounds_mm)} is empty; give it an extent along every axis.")

    @classmethod
    def from_dict(cls, raw: dict) -> "RegionOfInterest":
        """The region that `to_dict` describes; without "box_to_ras" its bounds are RAS bounds.

        Raises:
            ValueError: for other fields, or numbers that make no box.
        """
        if not isinstance(raw, dict) or "bounds_mm" not in raw or set(raw) - {"bounds_mm", "box_to_ras"}:
            raise ValueError(f'a region of interest has the fields "bounds_mm" and, if rotated, "box_to_ras"; got {raw!r}.')
        bounds = _numbers(raw["bounds_mm"], "bounds_mm of a region of interest")
        if raw.get("box_to_ras") is None:
            return cls(bounds)
        rows = json_list(raw["box_to_ras"], "box_to_ras of a region of interest")
        matrix = [_numbers(row, "a row of box_to_ras of a region of interest") for row in rows]
        if [len(row) for row in matrix] != [4] * 4 or abs(np.linalg.det(matrix)) < _SMALLEST_BOX:
            raise ValueError(f"box_to_ras of a region of interest must be a 4x4 matrix of a box, got {shown(rows)}.")
        return cls(bounds, np.array(matrix))

    def to_dict(self) -> dict:
        """JSON-ready values, for requests and reports."""
        return {"bounds_mm": list(self.bounds_mm), "box_to_ras": self.box_to_ras.tolist()}

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = np.asarray(self.bounds_mm, dtype=float).reshape(3, 2)
        return pairs.min(axis=1), pairs.max(axis=1)

    def index_bounds(self, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Half-open KJI index box of the grid that holds every voxel center inside the region, clipped to the grid.

        Raises:
            ValueError: where the region lies outside the grid, or between its voxels.
        """
        lower, upper = self._limits()
        corners = np.array(
            [(x, y, z) for x in (lower[0], upper[0]) for y in (lower[1], upper[1]) for z in (lower[2], upper[2])]
        )
        corners_ras = corners @ self.box_to_ras[:3, :3].T + self.box_to_ras[:3, 3]
        corners_kji = geometry.ijk_from_ras(corners_ras)[:, ::-1]
        start = np.maximum(np.ceil(corners_kji.min(axis=0) - 1e-6), 0).astype(int)
        stop = np.minimum(np.floor(corners_kji.max(axis=0) + 1e-6) + 1, geometry.shape_kji).astype(int)
        first, last = corners_kji.min(axis=0), corners_kji.max(axis=0)
        is_on_grid = (last > -0.5).all() and (first < np.array(geometry.shape_kji) - 0.5).all()
        if (stop <= start).any() and is_on_grid:
            size = " x ".join(f"{mm:g}" for mm in upper - lower)
            raise ValueError(f"the region of interest is {size} mm and has no center of a voxel inside; make it larger.")
        if (stop <= start).any():
            low, high = geometry.corners_ras().min(axis=0).round(1), geometry.corners_ras().max(axis=0).round(1)
            raise ValueError(
                f"the region of interest lies outside the volume, which spans R {low[0]} to {high[0]}, "
                f"A {low[1]} to {high[1]}, S {low[2]} to {high[2]} mm; move it onto the volume."
            )
        return start, stop

    def mask(self, geometry: Geometry) -> np.ndarray:
        """bool (K, J, I): which voxel centers of the grid lie inside."""
        lower, upper = self._limits()
        box_from_ijk = np.linalg.inv(self.box_to_ras) @ geometry.ijk_to_ras
        k, j, i = np.ogrid[tuple(slice(n) for n in geometry.shape_kji)]
        inside = np.ones(geometry.shape_kji, dtype=bool)
        for axis in range(3):
            row = box_from_ijk[axis]
            position = row[0] * i + row[1] * j + row[2] * k + row[3]
            inside &= (position >= lower[axis] - 1e-6) & (position <= upper[axis] + 1e-6)
        return inside


def _numbers(value: object, what: str) -> tuple[float, ...]:
    return tuple(number(entry, f"an entry of {what}") for entry in json_list(value, what))
