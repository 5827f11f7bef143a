"""Prompts in RAS on any plane, and the answers to them as a preview."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.auto_prompts import prompts_from
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompter import Cancel, Prompter, Result
from mednextseg.refine.slices.encoded_slices import EncodedSlices
from mednextseg.refine.slices.slice_plane import SlicePlane, has_same_grid, is_same_plane, is_same_slice
from mednextseg.refine.slices.slice_sampling import sample_slice
from mednextseg.refine.slices.slice_session import SliceSession
from mednextseg.refine.strokes import Stroke, check_stroke
from mednextseg.refine.undo_states import ActiveSlice, Step, as_corrected, side_of_object
from mednextseg.refine.undoable_preview import UndoablePreview
from mednextseg.refine.volume_edges import check_box, check_drawn, check_inside
from mednextseg.refine.volume_stamp import VolumeStamp

Seen = TypeVar("Seen")


class PromptedSlices(UndoablePreview):
    """A segment that follows prompts on one slice after the other; for the arguments see Refinement."""

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
        stamp = VolumeStamp.of(volume_kji, volume_geometry)
        journal = PromptJournal(prompter.info.name, prompter.info.model_hash, segment_name, display_range, volume=stamp)
        super().__init__(segment_kji, segment_geometry or volume_geometry, journal)
        self.volume_geometry, self.prompter = volume_geometry, prompter
        self._slices = EncodedSlices(volume_kji, volume_geometry, prompter, display_range)

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
        plane = self._slice_of_object(plane)
        session, accepted = self._session_on(plane)
        point_rc = plane.rc_from_ras(np.array(point))
        result = session.add_point(point_rc, positive, cancel) if is_answered else session.keep_point(point_rc, positive)
        self._finish(session, plane, accepted)
        details = {"point_ras_mm": point, "positive": bool(positive), "plane": plane.to_dict()}
        self.journal.record("point", **details, **({} if is_answered else {"answered": False}))
        return result

    def add_box(self, corners_ras: np.ndarray, plane: SlicePlane, cancel: Cancel | None = None) -> Result:
        """A box by two opposite corners (2, 3) in RAS mm on a plane; on a slice of a whole object it starts anew there."""
        corners = np.asarray(corners_ras, float).reshape(2, 3).tolist()
        plane = self._slice_of_object(plane)
        check_box(self.volume_geometry, plane, np.array(corners))
        session, accepted = self._session_on(plane)
        result = session.set_box(plane.box_from_ras(np.array(corners)), cancel)
        self._finish(session, plane, accepted)
        self.journal.record("box", corners_ras_mm=corners, plane=plane.to_dict())
        return result

    def add_scribble(self, points_ras: np.ndarray, positive: bool, plane: SlicePlane, cancel: Cancel | None = None) -> Result:
        """A line (N, 3) in RAS mm on a plane, drawn along the object, or, not positive, beside it."""
        return self._add_stroke("scribble", points_ras, positive, plane, cancel)

    def add_lasso(self, points_ras: np.ndarray, positive: bool, plane: SlicePlane, cancel: Cancel | None = None) -> Result:
        """A closed line (N, 3) in RAS mm on a plane: roughly what belongs to the object, or, not positive, what does not at all."""
        return self._add_stroke("lasso", points_ras, positive, plane, cancel)

    def prompt_from_segment(self, plane: SlicePlane, cancel: Cancel | None = None) -> Result:
        """Ask for what the segment has on a plane, by a box and points made from it; they take the place of earlier prompts there.

        Raises:
            ValueError: also where the segment is empty there.
        """
        plane = self._slice_of_object(plane)
        session, accepted = self._session_on(plane)
        if not session.mask.any():
            raise ValueError(
                "the segment is empty on this slice, so that there is nothing to make prompts from; click instead."
            )
        result = session.ask(prompts_from(session.probability, self.prompter.info.prompt_kinds), cancel)
        self._finish(session, plane, accepted)
        self.journal.record("prompt_from_segment", plane=plane.to_dict())
        return result

    def remove_point(self, index: int, cancel: Cancel | None = None) -> None:
        """Take away one click of the active slice."""
        self._remove("remove_point", lambda session: session.remove_point(index, cancel), index=int(index))

    def remove_stroke(self, index: int, cancel: Cancel | None = None) -> None:
        """Take away one scribble or lasso of the active slice."""
        self._remove("remove_stroke", lambda session: session.remove_stroke(index, cancel), index=int(index))

    def remove_box(self, cancel: Cancel | None = None) -> None:
        """Take away the box of the active slice."""
        if self._needed_active().state.prompts.box is None:
            raise ValueError("there is no box to remove on this slice.")
        self._remove("remove_box", lambda session: session.remove_box(cancel))

    def set_display_range(self, display_range: tuple[float, float] | None) -> None:
        """Let the prompter see other intensities as black and white from the next prompt on; None for the percentiles of each
        slice. No action of its own: there is nothing to undo."""
        display_range = None if display_range is None else (float(display_range[0]), float(display_range[1]))
        if display_range != self._slices.display_range:
            self._slices.display_range = display_range
            self.journal.record("window", window=display_range)

    def prefetch(self, plane: SlicePlane) -> bool:
        """Encode one slice near a plane, for idle moments; False where there is nothing to do."""
        return self._slices.prefetch(plane)

    def _add_stroke(
        self, kind: str, points_ras: np.ndarray, positive: bool, plane: SlicePlane, cancel: Cancel | None
    ) -> Result:
        points = np.array(points_ras, float).reshape(-1, 3)
        check_stroke(points, kind == "lasso")
        plane = self._slice_of_object(plane)
        stroke = Stroke(plane.rc_from_ras(points), positive, kind == "lasso")
        check_drawn(self.volume_geometry, plane, points, stroke)
        session, accepted = self._session_on(plane)
        result = session.add_stroke(stroke, cancel)
        self._finish(session, plane, accepted)
        self.journal.record(kind, points_ras_mm=points.tolist(), positive=bool(positive), plane=plane.to_dict())
        return result

    def _remove(self, action: str, remove, **details: int) -> None:
        active = self._needed_active()
        session = self._restored(active)
        remove(session)
        self._finish(session, active.plane, None)
        self.journal.record(action, **details)

    def _slice_of_object(self, plane: SlicePlane) -> SlicePlane:
        """Of the slices of a whole object the one nearest to a plane parallel to them; other planes as they are."""
        active = self._active
        if active is None or not active.is_whole or not has_same_grid(active.plane, plane):
            return plane
        steps = round(float(active.plane.distance_mm(plane.origin_ras)) / active.plane.thickness_mm)
        return active.plane if steps == 0 else active.plane.shifted(steps * active.plane.thickness_mm)

    def _session_on(self, plane: SlicePlane) -> tuple[SliceSession, Step | None]:
        """The session of a plane, and the acceptance of the other plane that a prompt here implies."""
        if self._active is not None and is_same_plane(self._active.plane, plane):
            return self._restored(self._active), None
        if self._active is not None and self._active.is_whole and has_same_grid(self._active.plane, plane):
            return self._session_in_object(self._active, plane), None
        accepted = self._accepting(self._active) if self._active is not None else None
        start = self._seen_after(accepted, lambda: sample_slice(self.segment_kji, self.segment_geometry, plane, outside=0.0))
        return SliceSession(self.prompter, self._slices.on(plane), start), accepted

    def _seen_after(self, accepted: Step | None, look: Callable[[], Seen]) -> Seen:
        """What is seen of the segment once a preview is accepted; that happens when the prompt is answered."""
        changed = () if accepted is None else accepted.changed
        self._invert(changed)
        seen = look()
        self._invert(reversed(changed))
        return seen

    def _session_in_object(self, active: ActiveSlice, plane: SlicePlane) -> SliceSession:
        """The session of another slice of a whole object, from what the preview has there."""
        for item in active.corrected:
            if is_same_slice(item.plane, plane):
                return self._restored(item)
        found = (item.probability for item in active.propagated if is_same_slice(item.plane, plane))
        start = next(found, None)
        if start is None:
            start = sample_slice(self.segment_kji, self.segment_geometry, plane, outside=0.0)
        return SliceSession(self.prompter, self._slices.on(plane), start, side_of_object(active, plane))

    def _restored(self, active: ActiveSlice) -> SliceSession:
        whole = self._active if self._active is not None and self._active.is_whole else None
        side = None if whole is None else side_of_object(whole, active.plane)
        session = SliceSession(self.prompter, self._slices.on(active.plane), active.session.start_mask, side)
        session.state = active.state
        return session

    def _finish(self, session: SliceSession, plane: SlicePlane, accepted: Step | None) -> None:
        hand, changed = (self._hand, ()) if accepted is None else (accepted.after[1], accepted.changed)
        after = ActiveSlice(plane, session, session.state)
        active = self._active
        if active is not None and accepted is None and active.is_whole:
            others = [item for item in (*active.corrected, as_corrected(active)) if not is_same_slice(item.plane, plane)]
            left = tuple(item for item in active.propagated if not is_same_slice(item.plane, plane))
            after = replace(after, propagated=left, corrected=tuple(others), is_whole=True)
        self._push(Step((self._active, self._hand), (after, hand), changed))
