"""A cube of cubic voxels among the slices of one grid: reading images and masks into it, and its answers back onto the slices."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mednextseg.refine.completion.network_input import NO_CLICKS
from mednextseg.refine.slices.slice_plane import SlicePlane


@dataclass(frozen=True, eq=False)
class SliceCube:
    """Where a cube lies: its axis 0 is the normal of the slices, axes 1 and 2 are their rows and columns.

    Attributes:
        plane: of step 0; step n is the plane n slices along its normal.
        middle_mm: (3,) of the cube, along the normal, the rows and the columns of that plane, from its pixel (0, 0).
        voxel_mm: edge of a voxel.
        size: voxels along each edge.
    """

    plane: SlicePlane
    middle_mm: tuple[float, float, float]
    voxel_mm: float
    size: int

    def places_mm(self, axis: int) -> np.ndarray:
        """(size,) of the voxels' centers along an axis."""
        return self.middle_mm[axis] + (np.arange(self.size) - (self.size - 1) / 2) * self.voxel_mm

    def image(self, look: Callable[[SlicePlane], np.ndarray]) -> np.ndarray:
        """(size, size, size) float32 intensities, of what gives the (H, W) intensities on a plane."""
        z, y, x = (self.places_mm(axis) for axis in range(3))
        corner = self.plane.ras_from_rc(np.array([y[0], x[0]]) / self.plane.spacing_rc_mm)
        first = SlicePlane(
            corner + z[0] * self.plane.normal_ras,
            self.plane.row_direction_ras,
            self.plane.col_direction_ras,
            (self.voxel_mm, self.voxel_mm),
            (self.size, self.size),
            self.plane.thickness_mm,
        )
        return np.stack([look(first.shifted(n * self.voxel_mm)) for n in range(self.size)]).astype(np.float32)

    def known(self, slices: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """{index along axis 0: (size, size) probability} of {step: (H, W) probability}; of each voxel layer the nearest slice within it."""
        by_layer = self.steps_of_layers(slices)
        seen = {step: self._seen(slices[step]) for step in set(by_layer.values())}
        return {layer: seen[step] for layer, step in by_layer.items()}

    def steps_of_layers(self, steps: Iterable[int]) -> dict[int, int]:
        """{index along axis 0: the nearest of these slices, where one lies within that layer of voxels}."""
        thickness, z = self.plane.thickness_mm, self.places_mm(0)
        found: dict[int, int] = {}
        nearest = np.full(self.size, np.inf)
        for step in steps:
            away = np.abs(z - step * thickness)
            for layer in np.flatnonzero((away <= max(thickness, self.voxel_mm) / 2 + 1e-6) & (away < nearest)):
                found[int(layer)], nearest[layer] = step, away[layer]
        return found

    def places_of(self, said: Mapping[int, np.ndarray]) -> np.ndarray:
        """(N, 4) indices z, y, x and label, of {step: (N, 3) row, column and label}."""
        found = [NO_CLICKS]
        for step, points in said.items():
            mm = np.column_stack(
                [np.full(len(points), step * self.plane.thickness_mm), points[:, :2] * self.plane.spacing_rc_mm]
            )
            places = (mm - [self.places_mm(axis)[0] for axis in range(3)]) / self.voxel_mm
            found.append(np.column_stack([places, points[:, 2]]))
        return np.concatenate(found)

    def _seen(self, part_rc: np.ndarray) -> np.ndarray:
        rows, cols = (
            self.places_mm(axis) / spacing
            for axis, spacing in ((1, self.plane.spacing_rc_mm[0]), (2, self.plane.spacing_rc_mm[1]))
        )
        return ndimage.map_coordinates(np.asarray(part_rc, np.float32), np.meshgrid(rows, cols, indexing="ij"), order=1)

    def steps(self, margin: float = 0.0) -> range:
        """The slices whose middle lies within the cube, so many voxels from its faces."""
        z, thickness = self.places_mm(0), self.plane.thickness_mm
        low, high = z[0] + margin * self.voxel_mm, z[-1] - margin * self.voxel_mm
        return range(int(np.ceil(low / thickness - 1e-6)), int(np.floor(high / thickness + 1e-6)) + 1)

    def on_slice(self, values_zyx: np.ndarray, step: int, outside: float) -> np.ndarray:
        """(H, W) float32 of a step: values of the voxels, interpolated linearly; `outside` beyond the cube."""
        z, y, x = (self.places_mm(axis) for axis in range(3))
        result = np.full(self.plane.shape_rc, outside, np.float32)
        parts, places = [], [np.array([(step * self.plane.thickness_mm - z[0]) / self.voxel_mm])]
        for line, spacing, count in zip((y, x), self.plane.spacing_rc_mm, self.plane.shape_rc, strict=True):
            numbers = np.arange(max(int(np.ceil(line[0] / spacing)), 0), min(int(np.floor(line[-1] / spacing)), count - 1) + 1)
            parts.append(numbers)
            places.append((numbers * spacing - line[0]) / self.voxel_mm)
        if all(len(numbers) for numbers in parts):
            grid = np.meshgrid(*places, indexing="ij")
            result[np.ix_(*parts)] = ndimage.map_coordinates(values_zyx, grid, order=1, mode="nearest")[0]
        return result
