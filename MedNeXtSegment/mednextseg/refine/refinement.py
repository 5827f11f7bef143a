"""A segment being corrected in any plane: prompts in RAS, a preview, undo over everything, and the journal of it all."""

from dataclasses import replace
from functools import partial

import numpy as np

from mednextseg.refine.prompted_slices import PromptedSlices
from mednextseg.refine.prompter import Cancel, Result, obey_prompts
from mednextseg.refine.propagation import PropagatedSlice, StoppingRules, propagate, propagate_between
from mednextseg.refine.repair import Progress, repaired, slices_of
from mednextseg.refine.slices.edge_snap import snapped_to_edges
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.slice_session import SliceSession, SliceState
from mednextseg.refine.slices_to_check import by_stretches
from mednextseg.refine.undo_states import ActiveSlice, Step, last_parallel, made_by_hand
from mednextseg.refine.volume_edges import cuts
from mednextseg.refine.whole_object import step_of, whole_object


class Refinement(PromptedSlices):
    """Correct one segment of one volume.

    Prompts on a plane make a preview there; `accept` writes it into the segment. A prompt on another plane accepts the one before,
    but for the slices of a whole object, which a prompt corrects. Every action can be undone, accepted ones included, by restoring
    what was saved.

    Args:
        volume_kji, volume_geometry: the image, and its grid in the world, parent transforms included.
        segment_kji, segment_geometry: the segment's voxels (copied) and its own grid in the world; None starts an empty one on
            the volume's grid.
        prompter: the network that turns prompts into a mask.
        display_range: intensities shown black and white; None for the percentiles of each slice.
        segment_name: for the journal.
    """

    def propagate(
        self, slices_ahead: int, slices_back: int, rules: StoppingRules | None = None, cancel: Cancel | None = None
    ) -> tuple[str, str]:
        """Carry the active slice on along its normal (ahead) and against it (back), as a preview.

        Returns:
            Why it ended ahead and back.
        """
        active = self._needed_active()
        common = {"kept": partial(made_by_hand, self._hand), "is_inside": partial(cuts, self.volume_geometry)}
        start = (self.prompter, self._slices.on, active.plane, active.probability)
        ahead, back = (
            propagate(*start, count, direction, rules=rules, cancel=cancel, **common)
            for count, direction in ((slices_ahead, 1), (slices_back, -1))
        )
        self._show(replace(active, propagated=ahead.slices + back.slices))
        self.journal.record("propagate", slices_ahead=int(slices_ahead), slices_back=int(slices_back))
        return ahead.ended, back.ended

    def propagate_between(self, cancel: Cancel | None = None) -> int:
        """Fill the gap between the active slice and the slice accepted last in the same slice view; returns the number of slices.

        Raises:
            ValueError: where no parallel slice has been accepted.
        """
        active = self._needed_active()
        other = last_parallel(self._hand, active.plane)
        first = (other.plane, other.probability)
        slices = propagate_between(self.prompter, self._slices.on, first, (active.plane, active.probability), cancel)
        self._show(replace(active, propagated=slices))
        self.journal.record("propagate_between")
        return len(slices)

    def whole_object(self, cancel: Cancel | None = None) -> tuple[str, str]:
        """Carry the slice worked on in both directions until the object ends by itself, as a preview.

        From now on a prompt on a parallel slice corrects the object there; called again, it goes on from that slice in both directions,
        up to the next corrected ones.

        Returns:
            Why it ended ahead and back; empty where a corrected slice lies in that direction.
        """
        active = self._needed_active()
        if not any((item.probability > 0.5).any() for item in (active, *active.corrected)):
            raise ValueError("there is nothing to carry on: the slice's mask is empty; segment it first.")
        kept, is_inside = partial(made_by_hand, self._hand), partial(cuts, self.volume_geometry)
        seeing = (self.prompter, self._slices.on, self._slices.seen)
        filled = whole_object(*seeing, active, kept, is_inside, cancel)
        corrected = tuple(_redrawn(item, filled.redrawn.get(step_of(active, item.plane))) for item in active.corrected)
        after = _redrawn(active, filled.redrawn.get(0))
        self._show(replace(after, propagated=filled.slices, corrected=corrected, is_whole=True))
        self.journal.record("whole_object")
        return filled.ended

    def repair_slices(
        self, plane: SlicePlane, cancel: Cancel | None = None, progress: Progress | None = None
    ) -> tuple[int, int]:
        """Ask for each slice of the segment that is parallel to a plane, by a box and points made from it, as one preview.

        Short gaps between slices are filled in. The slice nearest to the plane becomes the one worked on; from now on a prompt on a
        parallel slice corrects the preview there. Slices made by hand stay as they are, and so do those whose answers agree too
        little with the segment.

        Returns:
            How many slices are in the preview, and how many were asked for.
        Raises:
            ValueError: where the segment is empty, or no answer agrees with it.
            PromptCancelledError: when `cancel` said so.
        """
        accepted = None if self._active is None else self._accepting(self._active)
        hand, changed = (self._hand, ()) if accepted is None else (accepted.after[1], accepted.changed)
        slices = self._seen_after(accepted, lambda: slices_of(self.segment_kji, self.segment_geometry, self._box, plane))
        slices = [item for item in slices if made_by_hand(hand, item.plane) is None and cuts(self.volume_geometry, item.plane)]
        if not slices:
            raise ValueError("the segment has no slice to repair: it is empty, or all its slices were made by hand.")
        found = repaired(self.prompter, self._slices.on, slices, cancel, progress)
        if not found:
            raise ValueError("nothing was repaired: on every slice the answer agrees too little with the segment.")
        nearest = min(found, key=lambda item: abs(float(plane.distance_mm(item.slice.plane.origin_ras))))
        session = SliceSession(self.prompter, self._slices.on(nearest.slice.plane), nearest.slice.mask_rc)
        session.state = SliceState(nearest.prompts, nearest.result)
        others = tuple(
            PropagatedSlice(item.slice.plane, item.result.probability, item.result.score)
            for item in found
            if item is not nearest
        )
        after = ActiveSlice(nearest.slice.plane, session, session.state, others, is_whole=True)
        self._push(Step((self._active, self._hand), (after, hand), changed))
        self.journal.record("repair_slices", plane=plane.to_dict())
        return len(found), len(slices)

    def snap_to_edges(self) -> None:
        """Move the border of the slice worked on, and of those filled in from it, to edges of the image nearby; see snapped_to_edges.

        Clicks and strokes stay obeyed.
        """
        active = self._needed_active()
        score = float("nan") if active.state.result is None else active.state.result.score
        mine = obey_prompts(np.array(self._snapped(active.plane, active.probability)), active.state.prompts)
        mine.setflags(write=False)
        filled = tuple(replace(item, probability=self._snapped(item.plane, item.probability)) for item in active.propagated)
        self._show(replace(active, state=SliceState(active.state.prompts, Result(mine, score)), propagated=filled))
        self.journal.record("snap_to_edges")

    def _snapped(self, plane: SlicePlane, probability_rc: np.ndarray) -> np.ndarray:
        return snapped_to_edges(self._slices.on(plane).image_rc, probability_rc, plane.spacing_rc_mm)

    def preview_slices(self) -> list[PropagatedSlice]:
        """The slices filled in for the preview, along the normal; `confidence` says how sure each is."""
        if self._active is None:
            return []
        plane = self._active.plane
        return sorted(self._active.propagated, key=lambda item: float(plane.distance_mm(item.plane.origin_ras)))

    def slices_to_check(self) -> list[PropagatedSlice]:
        """The slices filled in for the preview, those first on which a correction helps most."""
        if self._active is None:
            return []
        filled, plane = self.preview_slices(), self._active.plane
        worked_on = (plane, *(item.plane for item in self._active.corrected))
        return by_stretches(filled, [_steps(plane, item.plane) for item in filled], [_steps(plane, item) for item in worked_on])

    def _show(self, after: ActiveSlice) -> None:
        self._push(Step((self._active, self._hand), (after, self._hand)))


def _redrawn(item: ActiveSlice, probability_rc: np.ndarray | None) -> ActiveSlice:
    """With what a whole object made of it; unchanged for None. The prompter's own answer is kept for the next time."""
    if probability_rc is None:
        return item
    probability_rc.setflags(write=False)
    score = float("nan") if item.state.result is None else item.state.result.score
    return replace(item, state=SliceState(item.state.prompts, Result(probability_rc, score), item.answer))


def _steps(plane: SlicePlane, other: SlicePlane) -> int:
    """How many slices another plane lies along the normal of a plane."""
    return round(float(plane.distance_mm(other.origin_ras)) / plane.thickness_mm)
