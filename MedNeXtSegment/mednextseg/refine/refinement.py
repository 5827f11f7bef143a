"""A segment being corrected in any plane: prompts in RAS, a preview, undo over everything, and the journal of it all."""

from collections.abc import Iterable
from functools import partial

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Cancel, Prompter, Result
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.propagation import StoppingRules, propagate, propagate_between
from mednextseg.refine.slices.encoded_slices import EncodedSlices
from mednextseg.refine.slices.slice_edits import SliceEdit, edits_of
from mednextseg.refine.slices.slice_plane import SlicePlane, is_same_plane
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.slices.slice_session import SliceSession
from mednextseg.refine.slices.voxel_box import VoxelBox
from mednextseg.refine.undo_states import ActiveSlice, HandSlice, Step, UndoStack, last_parallel, made_by_hand
from mednextseg.refine.volume_edges import check_box, check_inside, cuts
from mednextseg.refine.volume_stamp import VolumeStamp


class Refinement:
    """Correct one segment of one volume.

    Prompts on a plane make a preview there; `accept` writes it into the segment. A prompt on another plane accepts the one
    before. Every action can be undone, accepted ones included, by restoring what was saved.

    Args:
        volume_kji, volume_geometry: the image, and its grid in the world, parent transforms included.
        segment_kji, segment_geometry: the segment's voxels (copied) and its own grid in the world; None starts an empty one on
            the volume's grid.
        prompter: the network that turns prompts into a mask.
        display_range: intensities shown black and white; None for the percentiles of each slice.
        segment_name: for the journal.
    """

    def __init__(
        self,
        volume_kji: np.ndarray,
        volume_geometry: Geometry,
        prompter: Prompter,
        segment_kji: np.ndarray | None = None,
        segment_geometry: Geometry | None = None,
        display_range: tuple[float, float] | None = None,
        segment_name: str = "",
    ) -> None:
        self.volume_geometry, self.prompter = volume_geometry, prompter
        self.segment_geometry = segment_geometry or volume_geometry
        empty = np.zeros(self.segment_geometry.shape_kji, bool)
        self.segment_kji = empty if segment_kji is None else np.asarray(segment_kji) > 0
        if self.segment_kji.shape != self.segment_geometry.shape_kji:
            shapes = f"{self.segment_kji.shape} and {self.segment_geometry.shape_kji}"
            raise ValueError(f"the segment's array and geometry disagree ({shapes}); pass the segment's own geometry.")
        self.segment_kji = np.array(self.segment_kji, order="C")  # a copy: it is changed in place, by flat indices
        self._box = VoxelBox.of_mask(self.segment_kji)  # all its voxels lie in it; it only grows
        stamp = VolumeStamp.of(volume_kji, volume_geometry)
        self.journal = PromptJournal(prompter.info.name, prompter.info.model_hash, segment_name, display_range, volume=stamp)
        self._slices = EncodedSlices(volume_kji, volume_geometry, prompter, display_range)
        self._active: ActiveSlice | None = None
        self._hand: tuple[HandSlice, ...] = ()
        self._changed: list[np.ndarray] = []
        self._steps = UndoStack()

    @property
    def can_undo(self) -> bool:
        return self._steps.can_undo

    @property
    def can_redo(self) -> bool:
        return self._steps.can_redo

    @property
    def active_plane(self) -> SlicePlane | None:
        """Where the preview is."""
        return self._active.plane if self._active else None

    @property
    def has_propagated(self) -> bool:
        """Whether the preview reaches beyond the active slice."""
        return bool(self._active and self._active.propagated)

    @property
    def active_prompts(self) -> Prompts | None:
        """Clicks and box on the active slice, in its pixels, or None."""
        return self._active.state.prompts if self._active else None

    @property
    def probability(self) -> np.ndarray | None:
        """(H, W) float32 of the active slice's preview, or None."""
        return self._active.probability if self._active else None

    def preview(self) -> list[SliceEdit]:
        """What `accept` would write: the active slice and those propagated from it."""
        if self._active is None:
            return []
        active, propagated = self._active, [(item.probability, item.plane, False) for item in self._active.propagated]
        return edits_of([(active.probability, active.plane, True), *propagated], self.segment_geometry, self._box)

    def preview_segment(self) -> np.ndarray:
        """(K, J, I) bool: the segment with the preview in it; a copy."""
        segment = self.segment_kji.copy()
        for edit in reversed(self.preview()):  # the active slice last: what the user did wins
            edit.apply(segment)
        return segment

    def changes_on_slice(self) -> np.ndarray:
        """Ascending flat indices of the voxels of `segment_kji` that the active slice would change, without what was propagated."""
        slices = [] if self._active is None else [(self._active.probability, self._active.plane, True)]
        edits = edits_of(slices, self.segment_geometry, self._box)
        return edits[0].changes(self.segment_kji) if edits else np.zeros(0, np.int64)

    def take_changed(self) -> list[np.ndarray]:
        """Flat indices of the voxels of `segment_kji` that actions changed since the last call; some may have changed back."""
        changed, self._changed = self._changed, []
        return changed

    def add_point(
        self,
        point_ras: np.ndarray,
        positive: bool,
        plane: SlicePlane,
        cancel: Cancel | None = None,
        is_answered: bool = True,
    ) -> Result | None:
        """A click in RAS mm on a plane.

        Args:
            point_ras, positive, plane: the click.
            cancel: see Prompter.predict.
            is_answered: False only keeps the click, for one that a newer click on the same plane has overtaken: that one's answer
                is to both.
        """
        point = [float(x) for x in point_ras]
        check_inside(self.volume_geometry, np.array(point), "the point")
        session, accepted = self._session_on(plane)
        point_rc = plane.rc_from_ras(np.array(point))
        result = session.add_point(point_rc, positive, cancel) if is_answered else session.keep_point(point_rc, positive)
        self._finish(session, plane, accepted)
        details = {"point_ras_mm": point, "positive": bool(positive), "plane": plane.to_dict()}
        self.journal.record("point", **details, **({} if is_answered else {"answered": False}))
        return result

    def add_box(self, corners_ras: np.ndarray, plane: SlicePlane, cancel: Cancel | None = None) -> Result:
        """A box by two opposite corners (2, 3) in RAS mm on a plane."""
        corners = np.asarray(corners_ras, float).reshape(2, 3).tolist()
        check_box(self.volume_geometry, plane, np.array(corners))
        session, accepted = self._session_on(plane)
        result = session.set_box(plane.box_from_ras(np.array(corners)), cancel)
        self._finish(session, plane, accepted)
        self.journal.record("box", corners_ras_mm=corners, plane=plane.to_dict())
        return result

    def remove_point(self, index: int, cancel: Cancel | None = None) -> None:
        """Take away one click of the active slice."""
        active = self._needed_active()
        session = self._restored(active)
        session.remove_point(index, cancel)
        self._finish(session, active.plane, None)
        self.journal.record("remove_point", index=int(index))

    def remove_box(self, cancel: Cancel | None = None) -> None:
        """Take away the box of the active slice."""
        active = self._needed_active()
        if active.state.prompts.box is None:
            raise ValueError("there is no box to remove on this slice.")
        session = self._restored(active)
        session.remove_box(cancel)
        self._finish(session, active.plane, None)
        self.journal.record("remove_box")

    def set_display_range(self, display_range: tuple[float, float] | None) -> None:
        """Let the prompter see other intensities as black and white from the next prompt on; None for the percentiles of each
        slice. No action of its own: there is nothing to undo."""
        display_range = None if display_range is None else (float(display_range[0]), float(display_range[1]))
        if display_range != self._slices.display_range:
            self._slices.display_range = display_range
            self.journal.record("window", window=display_range)

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
        after = ActiveSlice(active.plane, active.session, active.state, ahead.slices + back.slices)
        self._push(Step((self._active, self._hand), (after, self._hand)))
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
        after = ActiveSlice(active.plane, active.session, active.state, slices)
        self._push(Step((self._active, self._hand), (after, self._hand)))
        self.journal.record("propagate_between")
        return len(slices)

    def prefetch(self, plane: SlicePlane) -> bool:
        """Encode one slice near a plane, for idle moments; False where there is nothing to do."""
        return self._slices.prefetch(plane)

    def accept(self) -> None:
        """Write the preview into the segment."""
        self._push(self._accepting(self._needed_active()))
        self.journal.record("accept")

    def discard(self) -> None:
        """Forget the preview."""
        self._needed_active()
        self._push(Step((self._active, self._hand), (None, self._hand)))
        self.journal.record("discard")

    def undo(self) -> bool:
        """Take the last action back; False where there is none."""
        if not self.can_undo:
            return False
        step = self._steps.undo()
        self._invert(reversed(step.changed))
        self._changed += step.changed
        self._active, self._hand = step.before
        self.journal.record("undo")
        return True

    def redo(self) -> bool:
        """Do the action again that was taken back last, from what was saved; False where there is none."""
        if not self.can_redo:
            return False
        self._do(self._steps.redo())
        self.journal.record("redo")
        return True

    def _session_on(self, plane: SlicePlane) -> tuple[SliceSession, Step | None]:
        """The session of a plane, and the acceptance of the other plane that a prompt here implies."""
        if self._active is not None and is_same_plane(self._active.plane, plane):
            return self._restored(self._active), None
        accepted = self._accepting(self._active) if self._active is not None else None
        changed = () if accepted is None else accepted.changed
        self._invert(changed)
        start = sample_slice(self.segment_kji, self.segment_geometry, plane, outside=0.0)
        self._invert(reversed(changed))  # it happens when the prompt is answered
        return SliceSession(self.prompter, self._slices.on(plane), start), accepted

    def _restored(self, active: ActiveSlice) -> SliceSession:
        session = SliceSession(self.prompter, self._slices.on(active.plane), active.session.start_mask)
        session.state = active.state
        return session

    def _finish(self, session: SliceSession, plane: SlicePlane, accepted: Step | None) -> None:
        hand, changed = (self._hand, ()) if accepted is None else (accepted.after[1], accepted.changed)
        after = ActiveSlice(plane, session, session.state)
        self._push(Step((self._active, self._hand), (after, hand), changed))

    def _accepting(self, active: ActiveSlice) -> Step:
        changed = []
        for edit in reversed(self.preview()):
            changed.append(edit.changes(self.segment_kji))
            edit.apply(self.segment_kji)
        self._invert(reversed(changed))
        hand = (*self._hand, HandSlice(active.plane, active.probability))
        return Step((self._active, self._hand), (None, hand), tuple(changed))

    def _push(self, step: Step) -> None:
        self._do(step)
        self._steps.add(step)

    def _do(self, step: Step) -> None:
        self._invert(step.changed)
        self._changed += step.changed
        self._active, self._hand = step.after

    def _invert(self, changed: Iterable[np.ndarray]) -> None:
        for voxels in changed:
            self.segment_kji.reshape(-1)[voxels] ^= True
            self._box = self._box.joined(VoxelBox.of_voxels(voxels, self.segment_kji.shape))

    def _needed_active(self) -> ActiveSlice:
        if self._active is None:
            raise ValueError("there is no preview: click or draw a box on a slice first.")
        return self._active
