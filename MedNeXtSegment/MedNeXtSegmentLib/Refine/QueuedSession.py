"""What every session of a refinement is: a queue of actions on one segment, undo and redo, what is shown, and its end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Cancel, Prompter, PrompterInfo
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.replay import check_prompter, do_entry
from mednextseg.refine.slices.slice_plane import SlicePlane
from MedNeXtSegmentLib.Refine.ClickQueue import Click, ClickQueue
from MedNeXtSegmentLib.Refine.CurrentSlice import CurrentSlice
from MedNeXtSegmentLib.Refine.EditedSegment import EditedSegment
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory


class QueuedSession:
    """Actions on one segment, done in their order; for the arguments and attributes see RefineSession."""

    def __init__(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter: Prompter,
        history: EditHistory,
        onChanged: Callable[[], None] | None = None,
        useDisplayedWindow: bool = True,
        settingsNode=None,
    ) -> None:
        self.volumeNode, self.segmentationNode, self.segmentId = volumeNode, segmentationNode, segmentId
        self.isClosed = self.isPropagating = False
        self.propagationEnded = ("", "")
        self.slicesDone: tuple[int, int] | None = None
        self._prompter, self._onChanged = prompter, onChanged
        self._queue = ClickQueue()
        self._isCancelled = False
        self._edited = EditedSegment(
            volumeNode, segmentationNode, segmentId, prompter, history, settingsNode, useDisplayedWindow
        )
        self.shapes = self._edited.shapes
        self._slice = CurrentSlice(self._edited, self._queue)

    @property
    def isBusy(self) -> bool:
        """Whether a prompt is being answered; actions asked for meanwhile are done afterwards, in their order."""
        return self._queue.isBusy

    @property
    def useDisplayedWindow(self) -> bool:
        """Whether the prompter sees the intensities as the volume is displayed (window/level), else between the 0.5 and 99.5
        percentiles of each slice. May be changed at any time; the journal records it."""
        return self._edited.useDisplayedWindow

    @useDisplayedWindow.setter
    def useDisplayedWindow(self, isOn: bool) -> None:
        self._edited.useDisplayedWindow = isOn

    @property
    def canUndo(self) -> bool:
        return not self.isClosed and self._edited.canUndo

    @property
    def canRedo(self) -> bool:
        return not self.isClosed and self._edited.canRedo

    def takeNotice(self) -> str:
        """What the user should know of what happened last, in one sentence, told once: prompts that were forgotten, masks that
        allowed no change, what an undo left."""
        notice, self._edited.notice = self._edited.notice, ""
        return notice

    @property
    def journal(self) -> PromptJournal:
        """Every action since the start; `journal.save(path)` writes it."""
        return self._edited.refinement.journal

    @property
    def prompterInfo(self) -> PrompterInfo:
        """The network that turns prompts into a mask."""
        return self._prompter.info

    @property
    def activePlane(self) -> SlicePlane | None:
        """The slice worked on, in world RAS."""
        return self._slice.plane

    def clicksRAS(self) -> tuple[np.ndarray, np.ndarray]:
        """The clicks on the slice worked on and those not answered yet, mm, world: (N, 3) on the object, (M, 3) beside it."""
        return self._slice.clicksRAS()

    def boxRAS(self) -> np.ndarray | None:
        """(4, 3) corners of the box on the slice worked on, in turn, in mm, world; None for no box."""
        return self._slice.boxRAS()

    def strokesRAS(self) -> list[tuple[np.ndarray, bool, bool]]:
        """The scribbles and lassos on the slice worked on: (N, 3) points in mm, world, whether it is positive, whether it is a lasso."""
        return self._slice.strokesRAS()

    def preview(self) -> tuple[np.ndarray, np.ndarray] | None:
        """What `accept` would add from the propagated slices: (K, J, I) bool, and the 4x4 from its voxels to the segmentation
        node's own RAS; the same object until the next action. None where nothing was propagated."""
        return self._edited.preview()

    def removedByPreview(self) -> np.ndarray | None:
        """(K, J, I) bool on the grid of `preview`: what `accept` would take from the segment; None where nothing was propagated."""
        return self._edited.removedByPreview()

    def previewSlices(self) -> list[tuple[np.ndarray, float]]:
        """The slices that were filled in and wait for `accept`, along the normal: (3,) middle in mm, world, and confidence in [0, 1]."""
        return [(item.center_ras, item.confidence) for item in self._edited.refinement.preview_slices()]

    def slicesToCheck(self) -> list[tuple[np.ndarray, float]]:
        """The same slices, those first on which a correction helps most."""
        return [(item.center_ras, item.confidence) for item in self._edited.refinement.slices_to_check()]

    def cancel(self) -> None:
        """Stop a propagation that is running; it then raises PromptCancelledError. What waits is dropped."""
        self._isCancelled = True
        self._queue.clear()

    def undo(self) -> None:
        """Take the last action back by restoring what was saved; without one, nothing happens."""
        self._enqueue(self._edited.undo)

    def redo(self) -> None:
        """Bring back what was undone last; without one, nothing happens."""
        self._enqueue(self._edited.redo)

    def prefetch(self) -> bool:
        """Encode one slice near the slice worked on, for idle moments; a click that comes meanwhile waits for it.

        Returns:
            Whether one was encoded; False where there is nothing to do, or something better.
        """
        plane, encoded = self.activePlane, []
        if self.isClosed or self.isBusy or plane is None or not self._prompter.info.needs_encode:
            return False
        self._queue.add(lambda: encoded.append(self._edited.refinement.prefetch(plane)))
        return encoded == [True]

    def follow(self) -> bool:
        """Take notice of what somebody else did to the segment, and say whether there was something; actions do it by themselves."""
        return not self.isBusy and not self.isClosed and self._edited.follow()

    def replay(self, journal: PromptJournal | str | Path) -> None:
        """Do everything in a journal again, from the segment as it is now; all of it or nothing.

        Raises:
            ValueError: where the journal was made with another prompter or on another volume, or is damaged; nothing was written.
        """
        if not isinstance(journal, PromptJournal):
            journal = PromptJournal.load(journal)
        check_prompter(journal, self._prompter.info)
        self._edited.replay(journal, lambda: [self._doEntry(entry) for entry in list(journal.entries)])

    def close(self) -> None:
        """End the session: nothing is written any more, the segment stays as it is."""
        if self.isClosed:
            return
        self.isClosed = True
        self.cancel()
        self._edited.close()
        self._tell()

    def _planeNow(self, where, pointRAS: np.ndarray) -> SlicePlane:
        self._checkIsOpen()
        if not self.isBusy:
            self._edited.follow()
        return self._slice.planeFor(where, pointRAS)

    def _doEntry(self, entry: dict) -> None:
        """Do one action of a journal; what was undone is restored from the nodes' own history."""
        action = entry["action"]
        if action in ("undo", "redo"):
            if not (self.canUndo if action == "undo" else self.canRedo):
                raise ValueError(_("The journal is damaged: it takes back or repeats what is not there."))
            getattr(self, action)()
        elif action == "window":  # not an action of the user's: nothing is written and nothing can be undone
            do_entry(self._edited.refinement, entry)
        elif action in ("propagate", "propagate_between", "whole_object"):
            self._performPropagation(lambda refinement, cancel: do_entry(refinement, entry, cancel))
        elif action == "repair_slices":
            self._performRepair(SlicePlane.from_dict(entry["plane"]))
        else:
            self._perform(lambda refinement: do_entry(refinement, entry))

    def _performPropagation(self, propagate: Callable[[Refinement, Cancel], tuple[str, str]]) -> None:
        def carryOn(refinement: Refinement) -> None:
            self.propagationEnded = self._stoppable(lambda cancel: propagate(refinement, cancel))
            if not refinement.has_propagated:
                why = "; ".join(dict.fromkeys(filter(None, self.propagationEnded))) or _("no slice lies between")
                self._edited.notice = _("Nothing was carried on to other slices: {why}.").format(why=why)

        self._perform(carryOn)

    def _performRepair(self, plane: SlicePlane) -> None:
        def showProgress(done: int, count: int) -> None:
            self.slicesDone = (done, count)
            self._tell()

        def repair(refinement: Refinement) -> None:
            self.propagationEnded = ("", "")
            try:
                changed, count = self._stoppable(lambda cancel: refinement.repair_slices(plane, cancel, showProgress))
            finally:
                self.slicesDone = None
            if changed < count:
                text = _("{left} of {count} slices stay as they are, because their answers agree too little with the segment.")
                self._edited.notice = text.format(left=count - changed, count=count)

        self._perform(repair)

    def _stoppable(self, do: Callable[[Cancel], Any]) -> Any:
        """Do something that takes long and that `cancel` can stop."""
        self._isCancelled, self.isPropagating = False, True
        self._tell()
        try:
            return do(lambda: self._isCancelled)
        finally:
            self.isPropagating = False

    def _perform(self, change: Callable[[Refinement], object], click: Click | None = None) -> None:
        self._enqueue(lambda: self._edited.change(change, lambda: not self.isClosed), click)

    def _enqueue(self, action: Callable[[], None], click: Click | None = None) -> None:
        self._checkIsOpen()

        def followAndDo() -> None:
            if not self.isClosed:
                self._edited.follow()
                self._tell()
                action()

        try:
            self._queue.add(followAndDo, click)
        finally:
            self._tell()

    def _checkIsOpen(self) -> None:
        if self.isClosed:
            raise ValueError(_("This refinement is over; start a new one."))

    def _tell(self) -> None:
        if self._onChanged is not None:
            self._onChanged()
