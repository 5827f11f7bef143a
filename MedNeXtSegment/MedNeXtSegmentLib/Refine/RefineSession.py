"""One segment being corrected by prompts on any plane: prompts in, edits of the segment out."""

import numpy as np

from mednextseg.refine.prompter import Cancel
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import SlicePlane
from MedNeXtSegmentLib.Refine.ClickQueue import Click
from MedNeXtSegmentLib.Refine.QueuedSession import QueuedSession


class RefineSession(QueuedSession):
    """Corrects one segment; given back by RefineLogic.startRefinement.

    Each point, box or stroke is written into the segment at once, as one step of undo; what is propagated is a preview until it is
    accepted.
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
        isPropagating: whether a propagation or a repair runs, which `cancel` can stop.
        propagationEnded: why the last propagation ended, along the normal and against it, for the user.
        slicesDone: while slices are repaired, how many are done and how many there are; None at other times.
    """

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

    def addScribble(self, pointsRAS, positive: bool = True, plane=None) -> None:
        """A line along the object, or, not positive, beside it: (N, 3) points in mm, world; otherwise as `addPoint`."""
        points, where = self._drawn(pointsRAS, plane)
        self._perform(lambda refinement: refinement.add_scribble(points, bool(positive), self._slice.joined(where)))

    def addLasso(self, pointsRAS, positive: bool = True, plane=None) -> None:
        """A closed line around what belongs to the object, roughly, or, not positive, around what does not at all; otherwise as
        `addScribble`."""
        points, where = self._drawn(pointsRAS, plane)
        self._perform(lambda refinement: refinement.add_lasso(points, bool(positive), self._slice.joined(where)))

    def removePoint(self, index: int) -> None:
        """Take away one click of the slice worked on, counted from 0; what is left is answered anew."""
        self._perform(lambda refinement: refinement.remove_point(index))

    def removeStroke(self, index: int) -> None:
        """Take away one scribble or lasso of the slice worked on, counted from 0; what is left is answered anew."""
        self._perform(lambda refinement: refinement.remove_stroke(index))

    def removeBox(self) -> None:
        """Take away the box of the slice worked on; what is left is answered anew."""
        self._perform(lambda refinement: refinement.remove_box())

    def erasePrompt(self, ras, plane=None) -> None:
        """Take away the click, stroke or box nearest to a point; the arguments are those of `addPoint`.

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

    def wholeObject(self) -> tuple[str, str]:
        """Carry the slice on in both directions until the object ends by itself, as a preview; otherwise as `propagate`.

        Until it is accepted, a prompt on one of its slices corrects it there; called again, it goes on from that slice in both
        directions, up to the next slices that were worked on.
        """
        self._performPropagation(lambda refinement, cancel: refinement.whole_object(cancel))
        return self.propagationEnded

    def promptFromSegment(self, ras, plane=None) -> None:
        """Ask for what the segment has on the slice through a point, by a box and points made from it; arguments as in `addPoint`.

        Raises:
            ValueError: also where the segment is empty on this slice.
        """
        where = self._planeNow(plane, np.array(ras, float).reshape(3))
        self._perform(lambda refinement: refinement.prompt_from_segment(self._slice.joined(where)))

    def repairSlices(self, plane=None) -> None:
        """Ask for every slice of the segment, by a box and points made from it, as one preview: one step of undo.

        Gaps of up to four slices are filled in; a slice whose answer agrees too little with the segment stays as it is, and `takeNotice`
        says how many do. Until it is accepted, a prompt on one of the slices corrects it there.

        Args:
            plane: which slices, as in `addPoint`; None for those parallel to the slice worked on, axial ones where there is none.
        Raises:
            ValueError: where the segment is empty, or no answer agrees with it; PromptCancelledError after `cancel`.
        """
        if plane is None:
            plane = self.activePlane
        self._performRepair(self._planeNow(plane, self._slice.middleRAS))

    def snapToEdges(self) -> None:
        """Move the border of the slice worked on, and of those in the preview, to edges of the image within 3 mm, where the probability
        agrees; one step of undo."""
        self._perform(lambda refinement: refinement.snap_to_edges())

    def accept(self) -> None:
        """Write the preview; slices worked on count as made by hand from now on and propagation does not change them."""
        self._perform(lambda refinement: refinement.accept())

    def discard(self) -> None:
        """Forget the slice worked on, what was propagated from it included."""
        self._perform(lambda refinement: refinement.discard())

    def _drawn(self, pointsRAS, plane) -> tuple[np.ndarray, SlicePlane]:
        points = np.array(pointsRAS, float).reshape(-1, 3)
        return points, self._planeNow(plane, points.mean(axis=0) if len(points) else np.zeros(3))
