"""The segment that is corrected: what a refinement shows is written into it, and what others do to it is followed."""

from collections.abc import Callable

import numpy as np
from slicer.i18n import tr as _

from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import PromptCancelledError, Prompter
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import check_volume
from MedNeXtSegmentLib.Refine.WatchedVoxels import WatchedVoxels
from MedNeXtSegmentLib.Scene.DeferredShapes import DeferredShapes
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.EditStep import EditStep
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, displayedRange, linearTransformToWorld


class EditedSegment:
    """A Refinement and the nodes it corrects, kept equal.

    Args:
        volumeNode, segmentationNode, segmentId: what is corrected, on which image.
        prompter: the network that turns prompts into a mask.
        history: where the state before each action is kept.
        settingsNode: as in SegmentWriter.
        useDisplayedWindow: see the attribute.

    Attributes:
        refinement: the Refinement; another one after the nodes were changed by somebody else.
        useDisplayedWindow: of RefineSession.
        shapes: surfaces and contours of the segmentation.
        isReplaying: whether the displayed range is what a journal says.
        notice: what the user should know of what happened last, in one sentence; empty for nothing.
    """

    def __init__(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter: Prompter,
        history: EditHistory,
        settingsNode,
        useDisplayedWindow: bool,
    ) -> None:
        self._volumeNode, self._segmentationNode, self._segmentId = volumeNode, segmentationNode, segmentId
        self._prompter, self._history, self._settingsNode = prompter, history, settingsNode
        self.useDisplayedWindow, self.isReplaying = useDisplayedWindow, False
        self.notice = ""
        self.shapes = DeferredShapes(segmentationNode, canDefer=not history.keepsShapes)
        self._voxels: WatchedVoxels | None = None
        # Steps whose prompts were forgotten: their voxels can still be taken back.
        self._earlier: list[object] = []
        self.begin(self._displayRangeNow())

    @property
    def canUndo(self) -> bool:
        return (self.refinement.can_undo and self._voxels.canUndo) or self._lastDone() is not None

    @property
    def canRedo(self) -> bool:
        return (self.refinement.can_redo and self._voxels.canRedo) or self._lastUndone() is not None

    def close(self) -> None:
        """Nothing is written any more."""
        self._voxels.close()
        self.shapes.refresh()

    def begin(self, displayRange: tuple[float, float] | None) -> None:
        """From the nodes as they are, with these intensities as black and white."""
        if self._voxels is not None:
            self._voxels.close()
            self._earlier = self._stepsOfHistory()
        volume_kji, geometry = arrayAndGeometryFromVolume(self._volumeNode)
        self._volumeVersion = (self._volumeNode.GetImageData().GetMTime(), geometry)
        self._voxels = WatchedVoxels(
            self._volumeNode, self._segmentationNode, self._segmentId, self._history, self._settingsNode, self.shapes
        )
        writer = self._voxels.writer
        self.refinement = Refinement(
            volume_kji,
            geometry,
            self._prompter,
            self._voxels.stored_kji,
            writer.geometry,
            displayRange,
            writer.segment.GetName(),
        )
        self._preview = None
        self._onSlice = np.zeros(0, np.int64)  # voxels in which what is shown on the slice worked on differs from the segment

    def preview(self) -> tuple[np.ndarray, np.ndarray] | None:
        """As RefineSession.preview."""
        self._previewNow()
        return self._preview

    def removedByPreview(self) -> np.ndarray | None:
        """As RefineSession.removedByPreview."""
        self._previewNow()
        return None if self._preview is None else self._removed_kji

    def _previewNow(self) -> None:
        if self._preview is None and self.refinement.has_propagated:
            wanted_kji, shown_kji = self.refinement.preview_segment(), self._voxels.shown_kji
            writer = self._voxels.writer
            self._removed_kji = shown_kji & ~wanted_kji
            self._preview = wanted_kji & ~shown_kji, np.linalg.inv(writer.toWorld) @ writer.geometry.ijk_to_ras

    def follow(self) -> bool:
        """Undo and redo with somebody else; start anew where the volume, the segment or their place was changed otherwise.

        Returns:
            Whether anything had changed.
        Raises:
            ValueError: where the segment was removed.
        """
        writer = self._voxels.writer
        if writer.segment is None:
            raise ValueError(_("The segment was removed; choose another one."))
        version, geometry = self._volumeVersion
        now = arrayAndGeometryFromVolume(self._volumeNode)[1]
        toWorld = linearTransformToWorld(self._segmentationNode)
        isSame = version == self._volumeNode.GetImageData().GetMTime() and geometry.matches(now, tolerance_mm=1e-6)
        if not isSame or not np.allclose(toWorld, writer.toWorld, atol=1e-9):
            return self._startAnew(_("The volume was changed or moved; earlier prompts were forgotten."))
        if writer.isReplaced:
            return self._startAnew(_("The segmentation has other content now; earlier prompts were forgotten."))
        steps = self._voxels.changesByOthers()
        if steps is None:
            return self._startAnew(_("The segment was changed elsewhere; earlier prompts were forgotten."))
        for _step in range(abs(steps)):
            if not (self.refinement.undo() if steps < 0 else self.refinement.redo()):  # its prompts were forgotten
                return self._startAnew(_("The segment was changed elsewhere; earlier prompts were forgotten."))
            self._voxels.follow(steps < 0, self._changedVoxels())
        if steps:
            self._preview = None
        return bool(steps)

    def change(self, change: Callable[[Refinement], object], isWanted: Callable[[], bool]) -> None:
        """Change the refinement and write what it shows, where that is still wanted then."""
        if not self.isReplaying:
            self.refinement.set_display_range(self._displayRangeNow())
        try:
            change(self.refinement)
        except PromptCancelledError:
            if isWanted():
                raise
            return  # the nodes may have gone while the worker computed
        if isWanted():
            self._preview = None
            if not self._voxels.show(self._changedVoxels()):
                self.notice = _(
                    "Nothing was changed: the Segment Editor's masking (editable area, intensity range) does not allow it here."
                )

    def undo(self) -> None:
        """Take the last action back, where there is one.

        Raises:
            ValueError: in one sentence, where its voxels were all changed again since.
        """
        self._preview = None
        if self.refinement.can_undo and self._voxels.canUndo:
            self.refinement.undo()
            self.notice = self._voxels.undo(self._changedVoxels())
        elif self._lastDone() is not None:
            step = self._lastDone()
            self._restore(self._history.undo, step)

    def redo(self) -> None:
        """Bring back what was undone last, where there is something; otherwise as `undo`."""
        self._preview = None
        if self.refinement.can_redo and self._voxels.canRedo:
            self.refinement.redo()
            self.notice = self._voxels.redo(self._changedVoxels())
        elif self._lastUndone() is not None:
            step = self._lastUndone()
            self._restore(self._history.redo, step)

    def replay(self, journal: PromptJournal, doAll: Callable[[], object]) -> None:
        """Have the actions of a journal done, from the segment as it is now; where one fails, everything is as before.

        Raises:
            ValueError: also where the journal was made on another volume.
        """
        check_volume(journal, *arrayAndGeometryFromVolume(self._volumeNode))
        self.begin(journal.display_range)
        if journal.volume is None:
            self.notice = _("The journal does not say which volume it was made on: check the result.")
        before, self.isReplaying = EditStep(self._segmentationNode, isSourceKept=True), True
        isDone = False
        try:
            doAll()
            isDone = True
        finally:
            self.isReplaying = False
            if not isDone:
                for step in sorted(self._voxels.steps, key=lambda step: -step.number):
                    self._history.undo(self._segmentationNode, step)
                    self._history.forget(step)
                before.finish()  # of a long journal there are more actions than steps
                if not before.isEmpty:
                    before.undo(self._segmentationNode)
                self.begin(self._displayRangeNow())

    def _restore(self, restore: Callable, step: object) -> None:
        """Change the voxels of a step whose prompts were forgotten, and go on from there."""
        self.begin(self._displayRangeNow())
        try:
            self.notice = restore(self._segmentationNode, step)
        finally:
            self.begin(self._displayRangeNow())

    def _startAnew(self, notice: str) -> bool:
        if self.refinement.journal.entries:
            self.notice = notice
        self.begin(self._displayRangeNow())
        return True

    def _lastDone(self) -> object | None:
        steps = reversed(self._stepsOfHistory())
        return next((step for step in steps if self._history.canUndo(self._segmentationNode, step)), None)

    def _lastUndone(self) -> object | None:
        steps = self._stepsOfHistory()
        return next((step for step in steps if self._history.canRedo(self._segmentationNode, step)), None)

    def _stepsOfHistory(self) -> list[object]:
        """The steps of this session that the history of what is shown now still has, oldest first."""
        node, history, steps = self._segmentationNode, self._history, [*self._earlier, *self._voxels.steps]
        steps = [step for step in steps if history.canUndo(node, step) or history.canRedo(node, step)]
        return sorted(steps, key=lambda step: step.number)

    def _displayRangeNow(self) -> tuple[float, float] | None:
        return displayedRange(self._volumeNode) if self.useDisplayedWindow else None

    def _changedVoxels(self) -> np.ndarray:
        """Flat indices of the voxels in which what is shown must change: it is the segment with the slice worked on, but without
        what was propagated from it."""
        refinement, shown = self.refinement, self._voxels.shown_kji.reshape(-1)
        onSlice = refinement.changes_on_slice()
        voxels = _union([*refinement.take_changed(), self._onSlice, onSlice])
        self._onSlice = onSlice
        wanted = refinement.segment_kji.reshape(-1)[voxels]
        wanted[np.searchsorted(voxels, onSlice)] ^= True
        return voxels[wanted != shown[voxels]]


def _union(parts: list[np.ndarray]) -> np.ndarray:
    """All numbers of some arrays, ascending, each once; numpy's `unique` takes several times as long."""
    numbers = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
    return numbers[np.append(True, numbers[1:] != numbers[:-1])] if len(numbers) else numbers
