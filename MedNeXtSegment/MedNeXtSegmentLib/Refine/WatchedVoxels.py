"""A segment as a refinement shows it: written as one step of undo for each action, and watched for what others do to it.

What an action costs grows with the voxels it changes, not with the volume.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mednextseg.refine.undo_states import UNDO_LEVELS
from MedNeXtSegmentLib.Scene.DeferredShapes import DeferredShapes
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Layers import heldAt, layersOf
from MedNeXtSegmentLib.Scene.SegmentWriter import SegmentWriter


@dataclass(frozen=True)
class _Step:
    """An action: what the history keeps of it, None where it changed no voxel, and the stamps of the segment's voxels before and after."""

    kept: object
    before: int
    after: int


class WatchedVoxels:
    """The voxels of one segment: each action writes them as one step of undo, and tells its own changes from those of others.

    Args:
        volumeNode, segmentationNode, segmentId: the segment, and the source volume of the editor.
        history: where the state before each action is kept.
        settingsNode: as in SegmentWriter.
        shapes: of the segmentation; taken out of the way while voxels are written.

    Attributes:
        writer: the SegmentWriter.
        stored_kji: (K, J, I) bool, the segment's voxels as they were seen last.
        shown_kji: (K, J, I) bool, what the last action asked for, before masking.
    """

    def __init__(
        self, volumeNode, segmentationNode, segmentId: str, history: EditHistory, settingsNode, shapes: DeferredShapes
    ) -> None:
        self._node, self._history, self._shapes = segmentationNode, history, shapes
        self._segmentId = segmentId
        self.writer = SegmentWriter(volumeNode, segmentationNode, segmentId, settingsNode)
        self.stored_kji = self.writer.read()
        self.shown_kji = self.stored_kji.copy()
        self._version, self._stamp = self.writer.version, _stampOf(np.flatnonzero(self.stored_kji))
        # Of each action, as many as the refinement keeps.
        self._done: deque[_Step] = deque(maxlen=UNDO_LEVELS)
        self._undone: deque[_Step] = deque(maxlen=UNDO_LEVELS)

    def close(self) -> None:
        """Nothing is written any more."""
        self.writer.close()

    @property
    def canUndo(self) -> bool:
        return bool(self._done) and (self._done[-1].kept is None or self._history.canUndo(self._node, self._done[-1].kept))

    @property
    def canRedo(self) -> bool:
        return bool(self._undone) and (
            self._undone[-1].kept is None or self._history.canRedo(self._node, self._undone[-1].kept)
        )

    @property
    def steps(self) -> list[object]:
        """What the history keeps of the actions that can be undone or redone."""
        return [step.kept for step in (*self._done, *self._undone) if step.kept is not None]

    def show(self, changed: np.ndarray) -> bool:
        """A new action: what is shown changes at these voxels (flat indices, each once), and the segment with it.

        Returns:
            False where the segment should have changed, but masks of the Segment Editor allowed it nowhere.
        """
        before, kept, isWanted = self._stamp, None, False
        if len(changed):
            isAdded = ~self.shown_kji.reshape(-1)[changed]
            isWanted = bool((self.stored_kji.reshape(-1)[changed] != isAdded).any())
            with self._shapes.aside(self._segmentsAt(changed)):
                kept = self._history.perform(self._node, lambda: self.writer.write(changed, isAdded), self.writer.grid, changed)
        self._invert(changed)
        self._done.append(_Step(kept, before, self._stamp))
        self._undone.clear()
        isBlocked = isWanted and self._stamp == before
        if isBlocked:  # so that the next action tries again
            self.shown_kji.reshape(-1)[changed] ^= True
        return not isBlocked

    def undo(self, changed: np.ndarray) -> str:
        """Take back what the last action did to voxels; what is shown changes at these.

        Returns:
            What could not be taken back, in one sentence; empty where all was.
        Raises:
            ValueError: in one sentence, where nothing could be taken back.
        """
        return self._restore(self._done, self._undone, self._history.undo, changed)

    def redo(self, changed: np.ndarray) -> str:
        """Do again what the action that was undone last did to voxels; otherwise as `undo`."""
        return self._restore(self._undone, self._done, self._history.redo, changed)

    def changesByOthers(self) -> int | None:
        """What somebody else did to the voxels: 0 nothing, -n undid the last n actions (with the Segment Editor's own Undo, say),
        n did the last n that were undone again, None anything else."""
        if self.writer.version == self._version:
            return 0
        self._version = self.writer.version
        now_kji = self.writer.read()
        if np.array_equal(now_kji, self.stored_kji):
            return 0
        stamp = _stampOf(np.flatnonzero(now_kji))
        for count, step in enumerate(reversed(self._done), 1):
            if step.kept is not None and step.before == stamp:
                return -count
        for count, step in enumerate(reversed(self._undone), 1):
            if step.kept is not None and step.after == stamp:
                return count
        return None

    def follow(self, isUndone: bool, changed: np.ndarray) -> None:
        """One action was undone, or done again, by somebody else; what is shown changes at these voxels."""
        source, target = (self._done, self._undone) if isUndone else (self._undone, self._done)
        step = source.pop()
        target.append(step)
        if step.kept is not None:
            self._history.follow(self._node, step.kept, isUndone)
        self._invert(changed)

    def _restore(self, source: deque[_Step], target: deque[_Step], restore: Callable, changed: np.ndarray) -> str:
        step = source.pop()
        target.append(step)
        try:
            if step.kept is None:
                return ""
            with self._shapes.aside(step.kept.segmentIds):
                return restore(self._node, step.kept)
        finally:
            self._invert(changed)

    def _segmentsAt(self, voxels: np.ndarray) -> set[str]:
        """This segment, and those that hold any of these voxels and may lose them."""
        return {self._segmentId, *heldAt(layersOf(self._node.GetSegmentation()), self.writer.grid, voxels)}

    def _invert(self, changed: np.ndarray) -> None:
        """What is shown changes at these voxels, and the segment at most there: see what became of them."""
        self.shown_kji.reshape(-1)[changed] ^= True
        self._version = self.writer.version
        if len(changed):
            box, _places = self.writer.boxOf(changed)
            now_kji = self.writer.read(box)
            different = np.nonzero(now_kji != self.stored_kji[box])
            self.stored_kji[box] = now_kji
            places = tuple(axis + side.start for axis, side in zip(different, box, strict=True))
            self._stamp ^= _stampOf(np.ravel_multi_index(places, self.stored_kji.shape))


def _stampOf(voxels: np.ndarray) -> int:
    """A number for a set of voxels, by flat indices; that of two sets without common voxels is the exclusive or of theirs.

    Zobrist's hashing, with the mixing function of SplitMix64 as the table of random numbers.
    """
    mixed = voxels.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(31)))) if len(voxels) else 0
