"""A segment, the preview on the slice worked on, and undo over everything that was done to both."""

from collections.abc import Iterable

import numpy as np

from mednextseg.geometry import Geometry
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.prompts import Prompts
from mednextseg.refine.slices.slice_edits import SliceEdit, edits_of
from mednextseg.refine.slices.slice_plane import SlicePlane
from mednextseg.refine.slices.voxel_box import VoxelBox
from mednextseg.refine.undo_states import ActiveSlice, HandSlice, Step, UndoStack


class UndoablePreview:
    """A segment with a preview that `accept` writes into it. Every action can be undone, by restoring what was saved.

    Args:
        segment_kji: the segment's voxels (copied); None for an empty one.
        segment_geometry: its grid in the world.
        journal: records what is done.

    Attributes:
        segment_kji: (K, J, I) bool, without the preview.
        segment_geometry, journal: as above.
    """

    def __init__(self, segment_kji: np.ndarray | None, segment_geometry: Geometry, journal: PromptJournal) -> None:
        self.segment_geometry, self.journal = segment_geometry, journal
        empty = np.zeros(segment_geometry.shape_kji, bool)
        self.segment_kji = empty if segment_kji is None else np.asarray(segment_kji) > 0
        if self.segment_kji.shape != segment_geometry.shape_kji:
            shapes = f"{self.segment_kji.shape} and {segment_geometry.shape_kji}"
            raise ValueError(f"the segment's array and geometry disagree ({shapes}); pass the segment's own geometry.")
        self.segment_kji = np.array(self.segment_kji, order="C")  # a copy: it is changed in place, by flat indices
        self._box = VoxelBox.of_mask(self.segment_kji)  # all its voxels lie in it; it only grows
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
        """Clicks, box and strokes on the active slice, in its pixels, or None."""
        return self._active.state.prompts if self._active else None

    @property
    def probability(self) -> np.ndarray | None:
        """(H, W) float32 of the active slice's preview, or None."""
        return self._active.probability if self._active else None

    def preview(self) -> list[SliceEdit]:
        """What `accept` would write: the active slice, those corrected before it, and those propagated; earlier ones win."""
        if self._active is None:
            return []
        propagated = [(item.probability, item.plane, False) for item in self._active.propagated]
        return edits_of([*self._worked_on(), *propagated], self.segment_geometry, self._box)

    def _worked_on(self) -> list[tuple[np.ndarray, SlicePlane, bool]]:
        slices = [] if self._active is None else [self._active, *reversed(self._active.corrected)]
        return [(item.probability, item.plane, True) for item in slices]

    def preview_segment(self) -> np.ndarray:
        """(K, J, I) bool: the segment with the preview in it; a copy."""
        segment = self.segment_kji.copy()
        for edit in reversed(self.preview()):  # the active slice last: what the user did last wins
            edit.apply(segment)
        return segment

    def changes_on_slice(self) -> np.ndarray:
        """Ascending flat indices of the voxels of `segment_kji` that the slices worked on would change, without what was propagated."""
        edits = edits_of(self._worked_on(), self.segment_geometry, self._box)
        if len(edits) < 2:
            return edits[0].changes(self.segment_kji) if edits else np.zeros(0, np.int64)
        voxels, first = np.unique(np.concatenate([edit.voxels for edit in edits]), return_index=True)
        mask = np.concatenate([edit.mask for edit in edits])[first]
        return voxels[self.segment_kji.reshape(-1)[voxels] != mask]

    def take_changed(self) -> list[np.ndarray]:
        """Flat indices of the voxels of `segment_kji` that actions changed since the last call; some may have changed back."""
        changed, self._changed = self._changed, []
        return changed

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

    def _accepting(self, active: ActiveSlice) -> Step:
        changed = []
        for edit in reversed(self.preview()):
            changed.append(edit.changes(self.segment_kji))
            edit.apply(self.segment_kji)
        self._invert(reversed(changed))
        hand = (*self._hand, *(HandSlice(item.plane, item.probability) for item in (*active.corrected, active)))
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
