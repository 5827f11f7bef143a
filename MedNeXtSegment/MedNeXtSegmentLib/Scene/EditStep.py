"""One action of the user on a segmentation, as what it changed, so that it can be taken back without touching anything else."""

from dataclasses import dataclass
from itertools import count

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Scene.Layers import (
    BINARY_LABELMAP,
    SegmentChange,
    VoxelGrid,
    changesAt,
    changesBetween,
    gridOf,
    heldAt,
    layersOf,
    onCommonGrids,
)
from MedNeXtSegmentLib.Scene.Representations import SourceChange
from MedNeXtSegmentLib.Scene.VoxelRuns import VoxelRuns


@dataclass(frozen=True, eq=False)
class _Part:
    """Changes on one grid, with all their voxels in ascending order and which of these other segments held, too."""

    changes: list[SegmentChange]
    grid: VoxelGrid
    occupied: VoxelRuns

    @property
    def voxels(self) -> np.ndarray:
        changed = np.sort(np.concatenate([np.zeros(0, np.int64), *(change.changed for change in self.changes)]))
        return changed[np.append(True, changed[1:] != changed[:-1])] if len(changed) else changed


class EditStep:
    """Looks at a segmentation before an action; `finish` says what became different, `undo` and `redo` change just that.

    A voxel is only changed back where it is as the step left it: not where a segment of the step lost or got it since, nor where
    the segment would meet another one that came since.

    Args:
        segmentationNode: vtkMRMLSegmentationNode; labelmaps become its source (see SourceChange) unless `isSourceKept`.
        grid, voxels: where the action changes something at most, as ascending flat indices on a grid; None for anywhere.

    Attributes:
        number: later steps have greater ones.
    """

    _numbers = count()

    def __init__(
        self, segmentationNode, grid: VoxelGrid | None = None, voxels: np.ndarray | None = None, isSourceKept: bool = False
    ) -> None:
        self.number = next(self._numbers)
        self._node = segmentationNode
        segmentation = segmentationNode.GetSegmentation()
        self._source = SourceChange(segmentation, isSourceKept)
        self._before = list(segmentation.GetSegmentIDs())
        layers = layersOf(segmentation)
        self._where = (grid, voxels) if voxels is not None and _areOn(grid, layers) else None
        self._look = layersOf(segmentation, isCopied=True) if self._where is None else heldAt(layers, grid, voxels)
        self._parts: list[_Part] = []
        self._segments: dict[str, object] = {}
        self._created: dict[str, tuple[object, int] | None] = {}  # where undone, the vtkSegment and its place

    def finish(self) -> None:
        """The action is over."""
        segmentation = self._node.GetSegmentation()
        layers = layersOf(segmentation)
        if self._where is None:
            changes = changesBetween(self._look, layers)
        else:
            changes = changesAt(*self._where, self._look, heldAt(layers, *self._where))
        for group in onCommonGrids(changes):
            voxels = _Part(group, group[0].grid, VoxelRuns(())).voxels
            occupied = voxels[_othersAt(segmentation, group, group[0].grid, voxels)]
            self._parts.append(_Part(group, group[0].grid, VoxelRuns(occupied)))
        ids = segmentation.GetSegmentIDs()
        self._created = {segmentId: None for segmentId in ids if segmentId not in self._before}
        for segmentId in self.segmentIds:
            self._segments[segmentId] = vtk.vtkWeakReference()
            self._segments[segmentId].Set(segmentation.GetSegment(segmentId))
        del self._node, self._look, self._where, self._before

    @property
    def changes(self) -> list[SegmentChange]:
        """What became different in each segment."""
        return [change for part in self._parts for change in part.changes]

    @property
    def isEmpty(self) -> bool:
        """Whether nothing became different."""
        return not (self.changes or self._created or self._source.isDone)

    @property
    def segmentIds(self) -> set[str]:
        """The segments that it changed or added."""
        return {*self._created, *(change.segmentId for change in self.changes)}

    @property
    def nbytes(self) -> int:
        """Memory this step holds."""
        parts = sum(part.occupied.nbytes for part in self._parts) + sum(change.nbytes for change in self.changes)
        return parts + self._source.nbytes

    def undo(self, segmentationNode) -> str:
        """Take the step back.

        Returns:
            What could not be taken back, in one sentence; empty where all was.
        Raises:
            ValueError: in one sentence, where nothing of it can be; nothing was changed.
        """
        segmentation = segmentationNode.GetSegmentation()
        with slicer.util.NodeModify(segmentationNode):
            note = self._change(segmentationNode, isUndo=True)
            places = {segmentId: segmentation.GetSegmentIndex(segmentId) for segmentId in self._created}
            for segmentId, place in places.items():
                segment = segmentation.GetSegment(segmentId)
                if segment is not None and not _hasVoxels(segmentation, segmentId):
                    self._created[segmentId] = (segment, place)
                    segmentation.RemoveSegment(segmentId)
                    segment.RemoveAllRepresentations()
            if self._source.isDone and not self._source.takeBack(segmentation) and not note:
                note = _("The shapes are not brought back, because segments were changed since; their voxels stay.")
        return note

    def redo(self, segmentationNode) -> str:
        """Do the step again; otherwise as `undo`."""
        segmentation = segmentationNode.GetSegmentation()
        with slicer.util.NodeModify(segmentationNode):
            if self._source.isDone:
                self._source = SourceChange(segmentation)
            for segmentId, kept in self._created.items():
                if kept is not None and segmentation.GetSegment(segmentId) is None:
                    segmentation.AddSegment(kept[0], segmentId)
                    segmentation.SetSegmentIndex(segmentId, min(kept[1], segmentation.GetNumberOfSegments() - 1))
                    self._created[segmentId] = None
            return self._change(segmentationNode, isUndo=False)

    def leaveTo(self, later: "EditStep") -> None:
        """Voxels that a later step changed again are that step's: neither changes them any more when it is taken back."""
        for part in self._parts:
            for mine in part.changes:
                for theirs in later.changes:
                    if theirs.segmentId == mine.segmentId and theirs.grid.matches(mine.grid.matrix):
                        shared = mine.grid.translated(mine.changed, theirs.grid)
                        mine.forget(theirs.grid.translated(theirs.changed, mine.grid))
                        theirs.forget(shared)

    def _change(self, segmentationNode, isUndo: bool) -> str:
        """Set the voxels that are still as the step left them; says how many were not."""
        segmentation = segmentationNode.GetSegmentation()
        for segmentId, kept in self._segments.items():
            segment = segmentation.GetSegment(segmentId)
            if segment is not None and segment is not kept.Get():
                text = _("The segment {name} is another one now; what was done to the one before cannot be taken back.")
                raise ValueError(text.format(name=repr(segment.GetName())))
        left, writes = 0, []
        for part in self._parts:
            voxels = part.voxels
            isFree = _freeVoxels(segmentation, part, voxels, isUndo)
            left += int(len(voxels) - isFree.sum())
            writes += [(change, *_stillFree(change, voxels, isFree, isUndo)) for change in part.changes]
        if self.changes and not any(len(removed) or len(added) for _change, removed, added in writes):
            raise ValueError(_("Nothing of this step is left to take back: all its voxels were changed again since."))
        for change, removed, _added in writes:
            _setVoxels(segmentationNode, change, removed, False)
        for change, _removed, added in writes:
            _setVoxels(segmentationNode, change, added, True)
        return _("{count} voxels were changed again since and stay as they are.").format(count=left) if left else ""


def _areOn(grid: VoxelGrid, layers) -> bool:
    return all(grid.matches(layer.grid.matrix) for layer in layers)


def _freeVoxels(segmentation, part: _Part, voxels: np.ndarray, isUndo: bool) -> np.ndarray:
    """(N,) bool: which voxels of a part are as the step, or its undo, left them."""
    changes = [change for change in part.changes if segmentation.GetSegment(change.segmentId) is not None]
    was = np.isin(voxels, part.occupied.voxels(), assume_unique=True)
    isFree = np.zeros(len(voxels), bool)
    isMet = _othersAt(segmentation, changes, part.grid, voxels) & ~was
    layers = layersOf(segmentation)
    for change in changes:
        isFree[np.searchsorted(voxels, change.changed)] = True
    for change in changes:
        for runs, isHeldAfter in ((change.added, True), (change.removed, False)):
            places = np.searchsorted(voxels, runs.voxels())
            isHeld = np.zeros(len(places), bool)
            for layer in layers:
                for label in (label for label, owner in layer.segmentIds.items() if owner == change.segmentId):
                    isHeld |= layer.at(part.grid, voxels[places]) == label
            isLeft = isHeld == (isHeldAfter is isUndo)
            if isUndo is not isHeldAfter:  # the voxel would come to the segment
                isLeft &= ~isMet[places]
            isFree[places[~isLeft]] = False
    return isFree


def _othersAt(segmentation, changes: list[SegmentChange], grid: VoxelGrid, voxels: np.ndarray) -> np.ndarray:
    """(N,) bool: where segments hold a voxel that are not changed there."""
    isOther = np.zeros(len(voxels), bool)
    places = {change.segmentId: np.searchsorted(voxels, change.changed) for change in changes}
    for layer in layersOf(segmentation):
        labels = layer.at(grid, voxels)
        isHeld = np.isin(labels, list(layer.segmentIds))
        for label, segmentId in layer.segmentIds.items():
            if segmentId in places:
                mine = places[segmentId]
                isHeld[mine[labels[mine] == label]] = False
        isOther |= isHeld
    return isOther


def _stillFree(change: SegmentChange, voxels: np.ndarray, isFree: np.ndarray, isUndo: bool) -> tuple[np.ndarray, np.ndarray]:
    """The voxels that are to be removed from the segment and those to be added."""
    added, removed = (runs.voxels()[isFree[np.searchsorted(voxels, runs.voxels())]] for runs in (change.added, change.removed))
    return (added, removed) if isUndo else (removed, added)


def _setVoxels(segmentationNode, change: SegmentChange, voxels: np.ndarray, isAdded: bool) -> None:
    """Voxels of one segment, whatever masks say; other segments stay."""
    segment = segmentationNode.GetSegmentation().GetSegment(change.segmentId)
    if not len(voxels) or segment is None:
        return
    labelmap = segment.GetRepresentation(BINARY_LABELMAP)
    shift = change.grid.shift if labelmap is None or labelmap.IsEmpty() else gridOf(labelmap).shift
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    # MODE_MERGE_MAX would write the label 1, which may be another segment's, whatever the label of this one is.
    mode = logic.MODE_MERGE_MASK if isAdded else logic.MODE_MERGE_MIN
    image = change.grid.image(voxels, not isAdded, shift)
    # Where voxels are removed, others in the same labelmap are safe; Slicer needs to be told, or it gives each its own labelmap.
    safe = () if isAdded else segmentationNode.GetSegmentation().GetSegmentIDs()
    extent = image.GetExtent()
    if not logic.SetBinaryLabelmapToSegment(image, segmentationNode, change.segmentId, mode, extent, False, safe):
        raise RuntimeError(f"The segment {change.segmentId!r} could not be written.")


def _hasVoxels(segmentation, segmentId: str) -> bool:
    for layer in layersOf(segmentation):
        for label, owner in layer.segmentIds.items():
            if owner == segmentId and (layer.values_kji == label).any():
                return True
    return False
