"""One segment being corrected by points and boxes on any plane: prompts in, edits of the segment out."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from mednextseg.refine.prompt_journal import PromptJournal
from mednextseg.refine.prompter import Prompter
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slice_plane import SlicePlane
from mednextseg.refine.slice_sampling import slice_edit
from mednextseg.refine.slice_session import UNDO_LEVELS
from MedNeXtSegmentLib import SlicerBridge
from MedNeXtSegmentLib.EditHistory import EditHistory
from MedNeXtSegmentLib.RefinePlanes import planeOf
from MedNeXtSegmentLib.SegmentWriter import SegmentWriter


class RefineSession:
    """Given back by RefineLogic.startRefinement.

    Each point or box is written into the segment at once, as one step of undo; what is propagated is a preview until it is accepted.
    Where the segment or the volume was changed by somebody else, the next action starts anew from what is there: earlier prompts are
    forgotten, and so is their undo here (the module's own undo still has it).

    Args:
        volumeNode, segmentationNode, segmentId: what is corrected, on which image.
        prompter: who answers.
        history: where the state before each action is kept.
        onChanged: called after each action and when the session closes.

    Attributes:
        isClosed: whether its nodes are gone or it was closed; nothing is written any more.
        isBusy: whether a prompt is being answered; actions asked for meanwhile are done afterwards, in their order.
    """

    def __init__(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter: Prompter,
        history: EditHistory,
        onChanged: Callable[[], None] | None = None,
    ) -> None:
        self.volumeNode, self.segmentationNode, self.segmentId = volumeNode, segmentationNode, segmentId
        self.isClosed = self.isBusy = False
        self._prompter, self._history, self._onChanged = prompter, history, onChanged
        self._waiting: list[Callable[[], None]] = []
        self._isCancelled = False
        self._window: tuple[float, float] | None = None
        self._writer: SegmentWriter | None = None
        self._begin()

    @property
    def canUndo(self) -> bool:
        return bool(self._done) and not self.isClosed

    @property
    def canRedo(self) -> bool:
        wasWritten = self._undone[-1] if self._undone else None
        return wasWritten is not None and not self.isClosed and (not wasWritten or self._history.canRedo(self.segmentationNode))

    @property
    def journal(self) -> PromptJournal:
        """Every action since the start; `journal.save(path)` writes it."""
        return self._refinement.journal

    @property
    def activePlane(self) -> SlicePlane | None:
        """The slice worked on, in world RAS."""
        return self._refinement.active_plane

    def clicksRAS(self) -> tuple[np.ndarray, np.ndarray]:
        """The clicks on the slice worked on, in mm, world: (N, 3) on the object and (M, 3) beside it."""
        plane, prompts = self.activePlane, self._refinement.active_prompts
        if plane is None:
            return np.zeros((0, 3)), np.zeros((0, 3))
        points_ras = plane.ras_from_rc(prompts.points_rc)
        return points_ras[prompts.labels == 1], points_ras[prompts.labels == 0]

    def previewMask(self) -> tuple[np.ndarray, np.ndarray]:
        """What `accept` would add: (K, J, I) bool, and the 4x4 from its voxels to the segmentation node's own RAS."""
        added_kji = self._refinement.preview_segment() & ~self._shown_kji
        toSegmentation = np.linalg.inv(SlicerBridge.linearTransformToWorld(self.segmentationNode))
        return added_kji, toSegmentation @ self._writer.geometry.ijk_to_ras

    def addPoint(self, ras, positive: bool = True, plane=None) -> None:
        """A click: the object is here, or, not positive, it is not.

        Args:
            ras: three numbers in mm, world.
            plane: the slice it acts on: a vtkMRMLSliceNode, a normal in world RAS, a SlicePlane; None for axial.
        Raises:
            ValueError: in one sentence, where the nodes or the point cannot be used; RunFailure where the worker failed. Nothing was
                written.
        """
        point = np.array(ras, float).reshape(3)
        self._perform(lambda refinement: refinement.add_point(point, positive, self._plane(plane, point)))

    def addBox(self, cornersRAS, plane=None) -> None:
        """A box around the object by two opposite corners (2, 3) in mm, world; otherwise as `addPoint`."""
        corners = np.array(cornersRAS, float).reshape(2, 3)
        self._perform(lambda refinement: refinement.add_box(corners, self._plane(plane, corners.mean(axis=0))))

    def removePoint(self, index: int) -> None:
        """Take away one click of the slice worked on, counted from 0."""
        self._perform(lambda refinement: refinement.remove_point(index))

    def propagate(self, slicesAhead: int = 10, slicesBack: int = 10) -> tuple[str, str]:
        """Carry the slice on to its neighbours as a preview: along its normal, and against it.

        Returns:
            Why it ended ahead and back, for the user; ("", "") where another action is still running and this one waits.
        """
        ended = [("", "")]
        self._isCancelled = False

        def change(refinement: Refinement) -> None:
            ended[0] = refinement.propagate(slicesAhead, slicesBack, cancel=lambda: self._isCancelled)

        self._perform(change)
        return ended[0]

    def propagateBetween(self) -> None:
        """Fill the gap between this slice and the one accepted last in the same view, as a preview."""
        self._isCancelled = False
        self._perform(lambda refinement: refinement.propagate_between(cancel=lambda: self._isCancelled))

    def accept(self) -> None:
        """Write the preview; the slice counts as made by hand from now on and propagation does not change it."""
        self._perform(lambda refinement: refinement.accept())

    def discard(self) -> None:
        """Forget the slice worked on, what was propagated from it included."""
        self._perform(lambda refinement: refinement.discard())

    def cancel(self) -> None:
        """Stop a propagation that is running; it then raises PromptCancelledError. What waits is dropped."""
        self._isCancelled = True
        self._waiting.clear()

    def undo(self) -> None:
        """Take the last action back by restoring what was saved; without one, nothing happens."""
        self._queue(self._undo)

    def redo(self) -> None:
        """Bring back what was undone last; without one, nothing happens."""
        self._queue(self._redo)

    def replay(self, journal: PromptJournal | str | Path) -> None:
        """Do everything in a journal again, from the segment as it is now.

        Raises:
            ValueError: where the journal was made with another prompter, or is no journal.
        """
        if not isinstance(journal, PromptJournal):
            journal = PromptJournal.load(journal)
        mine = self._prompter.info
        if journal.model_hash != mine.model_hash:
            text = _("The journal was made with {theirs}, this is {mine}; start the session with the prompter of the journal.")
            theirs = f"{journal.prompter} {journal.model_hash[:8]}"
            raise ValueError(text.format(theirs=theirs, mine=f"{mine.name} {mine.model_hash[:8]}"))
        self._window = journal.window
        self._begin()
        for entry in list(journal.entries):
            self._replayEntry(entry)

    def close(self) -> None:
        """End the session: nothing is written any more, the segment stays as it is."""
        if self.isClosed:
            return
        self.isClosed = True
        self.cancel()
        self._writer.close()
        self._tell()

    def _replayEntry(self, entry: dict) -> None:
        action = entry["action"]
        if action == "point":
            self.addPoint(entry["point_ras_mm"], entry["positive"], SlicePlane.from_dict(entry["plane"]))
        elif action == "box":
            self.addBox(entry["corners_ras_mm"], SlicePlane.from_dict(entry["plane"]))
        elif action == "remove_point":
            self.removePoint(entry["index"])
        elif action == "propagate":
            self.propagate(entry["slices_ahead"], entry["slices_back"])
        elif action == "propagate_between":
            self.propagateBetween()
        else:
            getattr(self, action)()

    def _begin(self) -> None:
        """From the nodes as they are."""
        if self._writer is not None:
            self._writer.close()
        volume_kji, geometry = SlicerBridge.arrayAndGeometryFromVolume(self.volumeNode)
        self._volumeVersion = (self.volumeNode.GetImageData().GetMTime(), geometry)
        self._writer = SegmentWriter(self.volumeNode, self.segmentationNode, self.segmentId)
        self._stored_kji = self._writer.read()
        self._segmentVersion = self._writer.version
        self._shown_kji = self._stored_kji
        name = self._writer.segment.GetName()
        self._refinement = Refinement(
            volume_kji, geometry, self._prompter, self._stored_kji, self._writer.geometry, self._window, name
        )
        # Of each action, whether it changed the segment; as many as the refinement keeps.
        self._done: deque[bool] = deque(maxlen=UNDO_LEVELS)
        self._undone: deque[bool] = deque(maxlen=UNDO_LEVELS)

    def _plane(self, where, pointRAS: np.ndarray) -> SlicePlane:
        return planeOf(where, pointRAS, self._refinement.volume_geometry, self._refinement.active_plane)

    def _perform(self, change: Callable[[Refinement], object]) -> None:
        self._queue(lambda: self._do(change))

    def _queue(self, action: Callable[[], None]) -> None:
        """Do it now, or after what is being done: while the worker computes, the event loop brings further clicks."""
        if self.isClosed:
            raise ValueError(_("This refinement is over; start a new one."))
        self._waiting.append(action)
        if self.isBusy:
            return
        self.isBusy = True
        try:
            while self._waiting and not self.isClosed:
                self._followNodes()
                self._waiting.pop(0)()
        finally:
            self._waiting.clear()
            self.isBusy = False
            self._tell()

    def _followNodes(self) -> None:
        """Start anew where somebody else changed the volume, the segment or their place."""
        if self._writer.segment is None:
            raise ValueError(_("The segment was removed; choose another one."))
        version, geometry = self._volumeVersion
        now = SlicerBridge.arrayAndGeometryFromVolume(self.volumeNode)[1]
        isSame = version == self.volumeNode.GetImageData().GetMTime() and geometry.matches(now, tolerance_mm=1e-6)
        toWorld = SlicerBridge.linearTransformToWorld(self.segmentationNode)
        isSame = isSame and np.allclose(toWorld, self._writer.toWorld, atol=1e-9)
        if isSame and self._writer.version != self._segmentVersion:
            self._segmentVersion = self._writer.version
            isSame = np.array_equal(self._writer.read(), self._stored_kji)
        if not isSame:
            self._begin()

    def _do(self, change: Callable[[Refinement], object]) -> None:
        change(self._refinement)
        if self.isClosed:  # the nodes went while the worker computed
            return
        shown_kji = self._shownByRefinement()
        isWritten = not np.array_equal(shown_kji, self._shown_kji)
        if isWritten:
            self._history.saveState(self.segmentationNode)
            with slicer.util.NodeModify(self.segmentationNode):
                self._writer.write(self._shown_kji, shown_kji)
        self._done.append(isWritten)
        self._undone.clear()
        self._remember(shown_kji)

    def _undo(self) -> None:
        if self._done:
            self._undone.append(self._done.pop())
            self._refinement.undo()
            if self._undone[-1]:
                self._history.undo(self.segmentationNode)
            self._remember(self._shownByRefinement())

    def _redo(self) -> None:
        if self.canRedo:
            self._done.append(self._undone.pop())
            self._refinement.redo()
            if self._done[-1]:
                self._history.redo(self.segmentationNode)
            self._remember(self._shownByRefinement())

    def _shownByRefinement(self) -> np.ndarray:
        """(K, J, I) bool: the segment with the slice worked on, but without what was propagated from it."""
        shown_kji = self._refinement.segment_kji.copy()
        plane = self._refinement.active_plane
        edit = None if plane is None else slice_edit(self._refinement.probability, plane, self._writer.geometry)
        if edit is not None:
            edit.apply(shown_kji)
        return shown_kji

    def _remember(self, shown_kji: np.ndarray) -> None:
        self._shown_kji = shown_kji
        self._segmentVersion = self._writer.version
        self._stored_kji = self._writer.read()

    def _tell(self) -> None:
        if self._onChanged is not None:
            self._onChanged()
