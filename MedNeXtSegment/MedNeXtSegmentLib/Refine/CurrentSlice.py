"""The slice that is worked on: its prompts in the world, and which new prompts belong to it."""

from collections.abc import Callable

import numpy as np
from slicer.i18n import tr as _

from mednextseg.refine.prompter import PromptCancelledError
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import SlicePlane
from MedNeXtSegmentLib.Refine.ClickQueue import Click, ClickQueue
from MedNeXtSegmentLib.Refine.EditedSegment import EditedSegment
from MedNeXtSegmentLib.Refine.SlicePlanes import isSameSlice, planeOf


class CurrentSlice:
    """What a RefineSession knows of the slice that was clicked last.

    Args:
        edited: what is corrected.
        queue: the actions that wait, clicks without an answer among them.
    """

    def __init__(self, edited: EditedSegment, queue: ClickQueue) -> None:
        self._edited, self._queue = edited, queue

    @property
    def plane(self) -> SlicePlane | None:
        """In world RAS; None before the first prompt."""
        return self._edited.refinement.active_plane

    @property
    def middleRAS(self) -> np.ndarray:
        """(3,) mm, world: the center of the voxel in the middle of the volume."""
        geometry = self._edited.refinement.volume_geometry
        return geometry.ras_from_ijk(np.array(geometry.shape_ijk) // 2)

    def clicksRAS(self) -> tuple[np.ndarray, np.ndarray]:
        """The clicks on this slice and those not answered yet, mm, world: (N, 3) on the object, (M, 3) beside it."""
        waiting = self._queue.clicks
        positive, negative = ([c.pointRAS for c in waiting if c.isPositive is which] for which in (True, False))
        plane, prompts = self.plane, self._edited.refinement.active_prompts
        if plane is not None:
            points = plane.ras_from_rc(prompts.points_rc)
            positive += list(points[prompts.labels == 1])
            negative += list(points[prompts.labels == 0])
        return np.reshape(positive, (-1, 3)), np.reshape(negative, (-1, 3))

    def boxRAS(self) -> np.ndarray | None:
        """(4, 3) corners of the box on this slice, in turn, in mm, world; None for no box."""
        prompts = self._edited.refinement.active_prompts
        if prompts is None or prompts.box is None:
            return None
        r0, c0, r1, c1 = prompts.box - 0.5
        return self.plane.ras_from_rc([[r0, c0], [r0, c1], [r1, c1], [r1, c0]])

    def strokesRAS(self) -> list[tuple[np.ndarray, bool, bool]]:
        """The scribbles and lassos on this slice: (N, 3) points in mm, world, whether it is positive, whether it is a lasso."""
        prompts = self._edited.refinement.active_prompts
        strokes = [] if prompts is None else prompts.strokes
        return [(self.plane.ras_from_rc(stroke.points_rc), stroke.is_positive, stroke.is_lasso) for stroke in strokes]

    def planeFor(self, where, pointRAS: np.ndarray) -> SlicePlane:
        """The plane of a new prompt; the arguments are those of SlicePlanes.planeOf."""
        plane = planeOf(where, pointRAS, self._edited.refinement.volume_geometry)
        return plane if isinstance(where, SlicePlane) else self.joined(plane)

    def joined(self, plane: SlicePlane) -> SlicePlane:
        """This slice's own plane in place of one that is the same slice, so that prompts add up."""
        mine = self.plane
        return mine if mine is not None and not self._edited.isReplaying and isSameSlice(plane, mine) else plane

    def answer(self, refinement: Refinement, click: Click, isOver: Callable[[], bool]) -> None:
        """Add a click; where a newer one on the same slice waits, it is kept without an answer, as that one's is for both."""
        plane = self.joined(click.plane)
        if not self._queue.isOvertaken:
            try:
                refinement.add_point(click.pointRAS, click.isPositive, plane, lambda: isOver() or self._queue.isOvertaken)
                return
            except PromptCancelledError:
                if not self._queue.isOvertaken:
                    raise
        refinement.add_point(click.pointRAS, click.isPositive, plane, is_answered=False)

    def erase(self, refinement: Refinement, pointRAS: np.ndarray, plane: SlicePlane) -> None:
        """Take away the click, stroke or box nearest to a point.

        Raises:
            ValueError: where the plane is another slice.
        """
        mine = self.plane
        if mine is None or not isSameSlice(plane, mine):
            raise ValueError(_("There are no prompts on this slice; only those of the slice clicked last can be erased."))
        kind, index = refinement.active_prompts.nearest(mine.rc_from_ras(pointRAS))
        if kind == "box":
            refinement.remove_box()
        elif kind == "stroke":
            refinement.remove_stroke(index)
        else:
            refinement.remove_point(index)
