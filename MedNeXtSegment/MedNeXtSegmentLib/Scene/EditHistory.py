"""Undo and redo of what this module does to segmentations: each step is what one action changed, and takes back just that."""

from collections.abc import Callable

import numpy as np
import slicer
import vtk

from MedNeXtSegmentLib.Scene.EditStep import EditStep
from MedNeXtSegmentLib.Scene.Layers import VoxelGrid

_MAXIMUM_BYTES = 256 << 20  # of all steps together; a click takes some kilobytes
_MAXIMUM_STEPS = 200


class EditHistory:
    """The steps of each vtkSegmentation, for as long as it lives; of too many bytes the oldest steps are forgotten.

    Steps belong to the data, not to the node: in a sequence each frame has its own.

    Args:
        maximumBytes: memory that all steps together may hold.

    Attributes:
        keepsShapes: whether undo brings surfaces back as they were kept, rather than from the voxels.
    """

    keepsShapes = False

    def __init__(self, maximumBytes: int = _MAXIMUM_BYTES) -> None:
        self._maximumBytes = maximumBytes
        self._stacks: list[_Stacks] = []

    @property
    def nbytes(self) -> int:
        """Memory that all steps hold."""
        return sum(step.nbytes for stacks in self._living() for step in stacks.kept)

    def perform(
        self,
        segmentationNode,
        write: Callable[[], object],
        grid: VoxelGrid | None = None,
        voxels: np.ndarray | None = None,
    ) -> EditStep | None:
        """Change a segmentation as one step of undo; what was undone before on the same segments cannot be redone any more.

        Args:
            segmentationNode: vtkMRMLSegmentationNode.
            write: changes it; where it raises, nothing is changed.
            grid, voxels: as in EditStep.
        Returns:
            The step; None where voxels were given and nothing became different.
        """
        step = EditStep(segmentationNode, grid, voxels)
        isWritten = False
        try:
            with slicer.util.NodeModify(segmentationNode):
                write()
            isWritten = True
        finally:
            step.finish()
            if not isWritten and not step.isEmpty:
                step.undo(segmentationNode)
        if step.isEmpty and voxels is not None:
            return None
        stacks = self._stacksOf(segmentationNode, isNeeded=True)
        stacks.undone = [other for other in stacks.undone if not other.segmentIds & step.segmentIds]
        stacks.done.append(step)
        self._forgetOldest()
        return step

    def canUndo(self, segmentationNode, step: EditStep | None = None) -> bool:
        """Whether a step, None for the last one, can be taken back; False for no node."""
        stacks = self._stacksOf(segmentationNode)
        return stacks is not None and (step in stacks.done if step is not None else bool(stacks.done))

    def canRedo(self, segmentationNode, step: EditStep | None = None) -> bool:
        """Whether a step, None for the one undone last, can be done again; False for no node."""
        stacks = self._stacksOf(segmentationNode)
        return stacks is not None and (step in stacks.undone if step is not None else bool(stacks.undone))

    def undo(self, segmentationNode, step: EditStep | None = None) -> str:
        """Take back a step, None for the last one; without one, nothing happens. Later steps stay.

        Returns:
            What could not be taken back, in one sentence; empty where all was.
        Raises:
            ValueError: in one sentence, where nothing of the step can be taken back; it is forgotten.
        """
        if not self.canUndo(segmentationNode, step):
            return ""
        stacks = self._stacksOf(segmentationNode)
        step = step or stacks.done[-1]
        number = stacks.done.index(step)
        for later in stacks.done[number + 1 :]:
            step.leaveTo(later)
        stacks.done.remove(step)
        note = step.undo(segmentationNode)
        stacks.undone.append(step)
        return note

    def redo(self, segmentationNode, step: EditStep | None = None) -> str:
        """Do a step again, None for the one undone last; otherwise as `undo`."""
        if not self.canRedo(segmentationNode, step):
            return ""
        stacks = self._stacksOf(segmentationNode)
        step = step or stacks.undone[-1]
        stacks.undone.remove(step)
        note = step.redo(segmentationNode)
        stacks.done.append(step)
        return note

    def forget(self, step: EditStep) -> None:
        """Drop a step; what it changed stays."""
        for stacks in self._living():
            stacks.forget(step)

    def follow(self, segmentationNode, step: EditStep, isUndone: bool) -> None:
        """Take notice that somebody else took a step back, or did it again; one that is known as such already stays as it is."""
        stacks = self._stacksOf(segmentationNode)
        source, target = (stacks.done, stacks.undone) if isUndone else (stacks.undone, stacks.done)
        if step in source:
            source.remove(step)
            target.append(step)

    def _stacksOf(self, segmentationNode, isNeeded: bool = False) -> "_Stacks | None":
        if segmentationNode is None:
            return None
        segmentation = segmentationNode.GetSegmentation()
        found = next((stacks for stacks in self._living() if stacks.segmentation.Get() is segmentation), None)
        if found is None and isNeeded:
            found = _Stacks(segmentation)
            self._stacks.append(found)
        return found

    def _living(self) -> list["_Stacks"]:
        """Those whose segmentation is still there; not by its DeleteEvent, which Python's collector may call on what it has taken."""
        self._stacks = [stacks for stacks in self._stacks if stacks.segmentation.Get() is not None]
        return self._stacks

    def _forgetOldest(self) -> None:
        kept = [step for stacks in self._living() for step in stacks.kept]
        kept.sort(key=lambda step: step.number)
        total = sum(step.nbytes for step in kept)
        while len(kept) > 1 and (total > self._maximumBytes or len(kept) > _MAXIMUM_STEPS):
            oldest = kept.pop(0)
            total -= oldest.nbytes
            self.forget(oldest)


class _Stacks:
    """The steps of one vtkSegmentation, which they do not keep alive, and those that were undone, each oldest first."""

    def __init__(self, segmentation) -> None:
        self.segmentation = vtk.vtkWeakReference()
        self.segmentation.Set(segmentation)
        self.done: list[EditStep] = []
        self.undone: list[EditStep] = []

    @property
    def kept(self) -> list[EditStep]:
        return [*self.done, *self.undone]

    def forget(self, step: EditStep) -> None:
        """Drop a step, where it is here."""
        for steps in (self.done, self.undone):
            if step in steps:
                steps.remove(step)
