"""One segment being corrected by points and boxes on any plane: prompts in, edits of the segment out."""

from collections.abc import Callable
from pathlib import Path

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


class RefineSession:
    """Corrects one segment; given back by RefineLogic.startRefinement.

    Each point or box is written into the segment at once, as one step of undo; what is propagated is a preview until it is accepted.
    Clicks that come while another one is answered are all kept; of those on one slice the newest is answered, for all of them.
    An undo or redo of the segment by somebody else (the Segment Editor's own) is followed. Where the segment or the volume was
    changed in another way, the next action starts anew from what is there: earlier prompts are forgotten, and `takeNotice` says
    so. Undo takes back the voxels of the last action that are still as it left them, and nothing else.

    Args:
        volumeNode, segmentationNode, segmentId: what is corrected, on which image.
        prompter: the network that turns prompts into a mask.
        history: where the state before each action is kept.
        onChanged: called after each action, when one begins, and when the session closes.
        useDisplayedWindow: see the property.
        settingsNode: as in SegmentWriter.

    Attributes:
        isClosed: whether its nodes are gone or it was closed; nothing is written any more.
        shapes: the DeferredShapes of the segmentation, by which surfaces may follow later than the voxels.
        isPropagating: whether a propagation runs, which `cancel` can stop.
        propagationEnded: why the last propagation ended, along the normal and against it, for the user.
    """

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

    def preview(self) -> tuple[np.ndarray, np.ndarray] | None:
        """What `accept` would add from the propagated slices: (K, J, I) bool, and the 4x4 from its voxels to the segmentation
        node's own RAS; the same object until the next action. None where nothing was propagated."""
        return self._edited.preview()

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
        # Where the view is now counts, not where it is when the click's turn comes.
        click = Click(point, bool(positive), self._planeNow(plane, point))
        self._perform(lambda refinement: self._slice.answer(refinement, click, lambda: self.isClosed), click)

    def addBox(self, cornersRAS, plane=None) -> None:
        """A box around the object by two opposite corners (2, 3) in mm, world; otherwise as `addPoint`."""
        corners = np.array(cornersRAS, float).reshape(2, 3)
        where = self._planeNow(plane, corners.mean(axis=0))
        self._perform(lambda refinement: refinement.add_box(corners, self._slice.joined(where)))

    def removePoint(self, index: int) -> None:
        """Take away one click of the slice worked on, counted from 0; what is left is answered anew."""
        self._perform(lambda refinement: refinement.remove_point(index))

    def removeBox(self) -> None:
        """Take away the box of the slice worked on; what is left is answered anew."""
        self._perform(lambda refinement: refinement.remove_box())

    def erasePrompt(self, ras, plane=None) -> None:
        """Take away the click or box nearest to a point; the arguments are those of `addPoint`.

        Raises:
            ValueError: also where the slice has no prompts.
        """
        point = np.array(ras, float).reshape(3)
        where = self._planeNow(plane, point)
        self._perform(lambda refinement: self._slice.erase(refinement, point, where))

    def propagate(self, slicesAhead: int = 10, slicesBack: int = 10) -> tuple[str, str]:
        """Carry the slice on to its neighbors as a preview: along its normal, and against it.

        Returns:
            Why it ended ahead and back, for the user; where another action still runs and this one waits, that is told by
            `propagationEnded` later.
        Raises:
            PromptCancelledError: after `cancel`.
        """
        self._performPropagation(lambda refinement, cancel: refinement.propagate(slicesAhead, slicesBack, cancel=cancel))
        return self.propagationEnded

    def propagateBetween(self) -> None:
        """Fill the gap between this slice and the one accepted last in the same slice view, as a preview."""

        def fill(refinement: Refinement, cancel: Cancel) -> tuple[str, str]:
            refinement.propagate_between(cancel)
            return "", ""

        self._performPropagation(fill)

    def accept(self) -> None:
        """Write the preview; the slice counts as made by hand from now on and propagation does not change it."""
        self._perform(lambda refinement: refinement.accept())

    def discard(self) -> None:
        """Forget the slice worked on, what was propagated from it included."""
        self._perform(lambda refinement: refinement.discard())

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
        elif action in ("propagate", "propagate_between"):
            self._performPropagation(lambda refinement, cancel: do_entry(refinement, entry, cancel))
        else:
            self._perform(lambda refinement: do_entry(refinement, entry))

    def _performPropagation(self, propagate: Callable[[Refinement, Cancel], tuple[str, str]]) -> None:
        def carryOn(refinement: Refinement) -> None:
            self._isCancelled, self.isPropagating = False, True
            self._tell()
            try:
                self.propagationEnded = propagate(refinement, lambda: self._isCancelled)
            finally:
                self.isPropagating = False
            if not refinement.has_propagated:
                why = "; ".join(dict.fromkeys(filter(None, self.propagationEnded))) or _("no slice lies between")
                self._edited.notice = _("Nothing was carried on to other slices: {why}.").format(why=why)

        self._perform(carryOn)

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
