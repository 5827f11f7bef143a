"""The shared labelmaps of a segmentation as arrays, and what became different between two looks at them."""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from MedNeXtSegmentLib.Scene.Volumes import arrayFromMatrix
from MedNeXtSegmentLib.Scene.VoxelRuns import VoxelRuns

BINARY_LABELMAP = "Binary labelmap"
_TOLERANCE = 1e-4  # voxels or mm


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A box of a labelmap's voxels, in which they have flat indices; made by `gridOf`.

    Attributes:
        matrix: 4x4 from voxel numbers IJK to the segmentation node's own RAS.
        extent: first and last I, J, K.
        shift: what Slicer's own numbers I, J, K of this labelmap are smaller by.
    """

    matrix: np.ndarray
    extent: tuple[int, ...]
    shift: tuple[int, int, int] = (0, 0, 0)

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        i0, i1, j0, j1, k0, k1 = self.extent
        return (max(k1 - k0 + 1, 0), max(j1 - j0 + 1, 0), max(i1 - i0 + 1, 0))

    def matches(self, matrix: np.ndarray) -> bool:
        """Whether a labelmap with this matrix has the same voxels, maybe in another box."""
        return bool(np.abs(self.matrix - matrix).max() < _TOLERANCE)

    def ijk(self, voxels: np.ndarray) -> list[np.ndarray]:
        """Voxel numbers I, J, K of flat indices."""
        kji = np.unravel_index(voxels, self.shape_kji)
        return [kji[2 - axis] + self.extent[2 * axis] for axis in range(3)]

    def translated(self, voxels: np.ndarray, other: "VoxelGrid") -> np.ndarray:
        """(M,) flat indices of voxels on another grid of the same voxels; those beyond it are left out."""
        ijk = self.ijk(voxels)
        places = [axis - first for axis, first in zip(ijk, other.extent[::2], strict=True)]
        isInside = np.ones(len(voxels), bool)
        for place, size in zip(places, other.shape_kji[::-1], strict=True):
            isInside &= (place >= 0) & (place < size)
        return np.ravel_multi_index(tuple(place[isInside] for place in places[::-1]), other.shape_kji)

    def image(self, voxels: np.ndarray, isInverted: bool, shift: tuple[int, int, int]):
        """A vtkOrientedImageData of the smallest box around some voxels, one at least: 1 there, 0 elsewhere, or the reverse.

        Its numbers are smaller by `shift`: Slicer merges images correctly only where they are numbered alike.
        """
        ijk = self.ijk(voxels)
        extent = [int(bound) for axis in ijk for bound in (axis.min(), axis.max())]
        box_kji = np.full(VoxelGrid(self.matrix, tuple(extent)).shape_kji, isInverted, np.uint8)
        box_kji[tuple(ijk[axis] - extent[2 * axis] for axis in (2, 1, 0))] = not isInverted
        image = slicer.vtkOrientedImageData()
        image.SetExtent(*(bound - number for bound, number in zip(extent, np.repeat(shift, 2).tolist(), strict=True)))
        image.GetPointData().SetScalars(numpy_to_vtk(box_kji.ravel(), deep=True))
        matrix = self.matrix.copy()
        matrix[:3, 3] += matrix[:3, :3] @ np.array(shift)
        image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return image


def gridOf(image) -> VoxelGrid:
    """The grid of a vtkOrientedImageData, numbered so that images of the same voxels have the same numbers.

    Slicer lets the numbers of each labelmap start wherever its box does; here voxel 0 is the one nearest to the origin.
    """
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    toSegmentation = arrayFromMatrix(matrix)
    shift = np.floor(np.linalg.solve(toSegmentation[:3, :3], toSegmentation[:3, 3]) + _TOLERANCE)
    toSegmentation[:3, 3] -= toSegmentation[:3, :3] @ shift
    extent = np.array(image.GetExtent()) + np.repeat(shift.astype(int), 2)
    return VoxelGrid(toSegmentation, tuple(extent.tolist()), tuple(shift.astype(int).tolist()))


@dataclass(frozen=True, eq=False)
class Layer:
    """One labelmap that segments share.

    Attributes:
        grid: of its voxels.
        values_kji: their labels.
        segmentIds: of each label.
    """

    grid: VoxelGrid
    values_kji: np.ndarray
    segmentIds: dict[int, str]

    def at(self, grid: VoxelGrid, voxels: np.ndarray) -> np.ndarray:
        """(N,) labels at voxels of a grid; 0 beyond the labelmap, and everywhere where the grid has other voxels."""
        if not grid.matches(self.grid.matrix):
            return np.zeros(len(voxels), self.values_kji.dtype)
        places = [axis - first for axis, first in zip(grid.ijk(voxels), self.grid.extent[::2], strict=True)]
        isInside = np.ones(len(voxels), bool)
        for place, size in zip(places, self.values_kji.shape[::-1], strict=True):
            isInside &= (place >= 0) & (place < size)
        found = np.zeros(len(voxels), self.values_kji.dtype)
        found[isInside] = self.values_kji[tuple(place[isInside] for place in places[::-1])]
        return found

    def inBox(self, grid: VoxelGrid) -> np.ndarray:
        """(K, J, I) labels in a box of the same voxels that holds this one."""
        if grid.extent == self.grid.extent:
            return self.values_kji
        box_kji = np.zeros(grid.shape_kji, self.values_kji.dtype)
        starts = [mine - first for mine, first in zip(self.grid.extent[::2], grid.extent[::2], strict=True)]
        sides = zip(starts[::-1], self.values_kji.shape, strict=True)
        box_kji[tuple(slice(start, start + size) for start, size in sides)] = self.values_kji
        return box_kji


def layersOf(segmentation, isCopied: bool = False) -> list[Layer]:
    """The labelmaps of a vtkSegmentation that hold voxels: views on its memory, or copies of it."""
    labelmaps: dict[object, dict[int, str]] = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        labelmap = segment.GetRepresentation(BINARY_LABELMAP)
        if labelmap is not None and not labelmap.IsEmpty():
            labelmaps.setdefault(labelmap, {})[segment.GetLabelValue()] = segmentation.GetNthSegmentID(number)
    layers = []
    for labelmap, segmentIds in labelmaps.items():
        grid = gridOf(labelmap)
        values_kji = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(grid.shape_kji)
        layers.append(Layer(grid, values_kji.copy() if isCopied else values_kji, segmentIds))
    return layers


def heldAt(layers: list[Layer], grid: VoxelGrid, voxels: np.ndarray) -> dict[str, np.ndarray]:
    """Which of the voxels (flat indices on a grid) each segment holds, as (N,) bool; segments that hold none are left out."""
    held = {}
    for layer in layers:
        labels = layer.at(grid, voxels)
        for label in np.unique(labels[labels != 0]).tolist():
            if label in layer.segmentIds:
                held[layer.segmentIds[label]] = labels == label
    return held


@dataclass(eq=False)
class SegmentChange:
    """What an action did to one segment: the voxels that it added to it and removed from it, on a grid."""

    segmentId: str
    grid: VoxelGrid
    added: VoxelRuns
    removed: VoxelRuns

    @property
    def nbytes(self) -> int:
        """Memory this holds."""
        return self.added.nbytes + self.removed.nbytes

    @property
    def changed(self) -> np.ndarray:
        """(N,) ascending flat indices of both."""
        return np.sort(np.concatenate([self.added.voxels(), self.removed.voxels()]))

    def forget(self, voxels: np.ndarray) -> None:
        """These voxels, flat indices, are not of this change any more."""
        self.added, self.removed = (
            VoxelRuns(np.setdiff1d(runs.voxels(), voxels, assume_unique=True)) for runs in (self.added, self.removed)
        )


def changesBetween(before: list[Layer], after: list[Layer]) -> list[SegmentChange]:
    """What is different for each segment. Where a segment moved to other voxels, all of its old and of its new ones."""
    changes: list[SegmentChange] = []
    for old, new, ids in _pairs(before, after):
        if old is not None and new is not None and not old.grid.matches(new.grid.matrix):
            changes += [*_changes(old, None, ids), *_changes(None, new, ids)]
        else:
            changes += _changes(old, new, ids)
    return changes


def onCommonGrids(changes: list[SegmentChange]) -> list[list[SegmentChange]]:
    """Changes of the same voxels, though in different boxes, put together on one grid."""
    groups: list[list[SegmentChange]] = []
    for change in changes:
        group = next((group for group in groups if group[0].grid.matches(change.grid.matrix)), None)
        if group is None:
            groups.append([change])
        else:
            group.append(change)
    for group in groups:
        grid = _unionOf([change.grid for change in group])
        for change in (change for change in group if change.grid is not grid):
            parts = (VoxelRuns(change.grid.translated(runs.voxels(), grid)) for runs in (change.added, change.removed))
            change.added, change.removed = parts
            change.grid = grid
    return groups


def _unionOf(grids: list[VoxelGrid]) -> VoxelGrid:
    """The smallest box around some boxes of the same voxels; of one box that itself."""
    if all(grid.extent == grids[0].extent for grid in grids):
        return grids[0]
    extents = np.array([grid.extent for grid in grids])
    extent = np.where(np.arange(6) % 2, extents.max(axis=0), extents.min(axis=0))
    return VoxelGrid(grids[0].matrix, tuple(int(bound) for bound in extent), grids[0].shift)


def _pairs(before: list[Layer], after: list[Layer]):
    """The segments by the layer they were in and the one they are in now: (old or None, new or None, ids)."""
    old = {segmentId: layer for layer in before for segmentId in layer.segmentIds.values()}
    new = {segmentId: layer for layer in after for segmentId in layer.segmentIds.values()}
    pairs: dict[tuple[int, int], tuple] = {}
    for segmentId in dict.fromkeys([*old, *new]):
        was, now = old.get(segmentId), new.get(segmentId)
        pairs.setdefault((id(was), id(now)), (was, now, []))[2].append(segmentId)
    return pairs.values()


def _changes(old: Layer | None, new: Layer | None, ids: list[str]) -> list[SegmentChange]:
    grid = _unionOf([layer.grid for layer in (old, new) if layer is not None])
    was, now = (_numbered(layer, grid, ids) for layer in (old, new))
    different = np.flatnonzero(was != now)
    was, now = (np.broadcast_to(numbers, grid.shape_kji).reshape(-1)[different] for numbers in (was, now))
    return _segmentChanges(grid, different, was, now, ids)


def _numbered(layer: Layer | None, grid: VoxelGrid, ids: list[str]) -> np.ndarray:
    """The layer in a box, its labels as places in `ids` counted from 1, 0 for other segments."""
    return np.zeros((1, 1, 1), np.uint16) if layer is None else _numbersOf(layer.segmentIds, layer.inBox(grid), ids)


def _numbersOf(segmentIds: dict[int, str], labels: np.ndarray, ids: list[str]) -> np.ndarray:
    """Labels as places in `ids` counted from 1, 0 for other segments."""
    places = {segmentId: number for number, segmentId in enumerate(ids, 1)}
    table = np.zeros(max([int(labels.max(initial=0)), *segmentIds]) + 1, np.uint16)
    for label, segmentId in segmentIds.items():
        table[label] = places.get(segmentId, 0)
    return table[labels]


def changesAt(
    grid: VoxelGrid, voxels: np.ndarray, was: dict[str, np.ndarray], now: dict[str, np.ndarray]
) -> list[SegmentChange]:
    """What is different at ascending voxels, by what `heldAt` told of them before and after."""
    changes, none = [], np.zeros(len(voxels), bool)
    for segmentId in dict.fromkeys([*was, *now]):
        before, after = was.get(segmentId, none), now.get(segmentId, none)
        if (before != after).any():
            parts = VoxelRuns(voxels[after & ~before]), VoxelRuns(voxels[before & ~after])
            changes.append(SegmentChange(segmentId, grid, *parts))
    return changes


def _segmentChanges(
    grid: VoxelGrid, voxels: np.ndarray, was: np.ndarray, now: np.ndarray, ids: list[str]
) -> list[SegmentChange]:
    """The changes of each segment from (N,) numbers before and after, counted from 1 in `ids`, at ascending voxels."""
    changes = []
    for number in sorted({*np.unique(was).tolist(), *np.unique(now).tolist()} - {0}):
        isAdded, isRemoved = (now == number) & (was != number), (was == number) & (now != number)
        if isAdded.any() or isRemoved.any():
            parts = VoxelRuns(voxels[isAdded]), VoxelRuns(voxels[isRemoved])
            changes.append(SegmentChange(ids[number - 1], grid, *parts))
    return changes
