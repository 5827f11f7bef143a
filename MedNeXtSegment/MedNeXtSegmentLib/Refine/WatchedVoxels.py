"""A segment as a refinement shows it: written as one step of undo for each action, and watched for what others do to it.

What an action costs grows with the voxels it changes, not with the volume.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import slicer

from mednextseg.refine.undo_states import UNDO_LEVELS
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.SegmentWriter import SegmentWriter


@dataclass(frozen=True)
class _Step:
    """An action: the voxels it changed (flat indices), and the stamps of the segment's voxels before and after it."""

    changed: np.ndarray
    before: int
    after: int


class WatchedVoxels:
    """The voxels of one segment: each action writes them as one step of undo, and tells its own changes from those of others.

    Args:
        volumeNode, segmentationNode, segmentId: the segment, and the source volume of the editor.
        history: where the state before each action is kept.
        settingsNode: as in SegmentWriter.

    Attributes:
        writer: the SegmentWriter.
        stored_kji: (K, J, I) bool, the segment's voxels as they were seen last.
        shown_kji: (K, J, I) bool, what the last action asked for, before masking.
    """

    def __init__(self, volumeNode, segmentationNode, segmentId: str, history: EditHistory, settingsNode=None) -> None:
        self._node, self._history = segmentationNode, history
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
        return bool(self._done) and (not len(self._done[-1].changed) or self._history.canUndo(self._node))

    @property
    def canRedo(self) -> bool:
        return bool(self._undone) and (not len(self._undone[-1].changed) or self._history.canRedo(self._node))

    def show(self, changed: np.ndarray) -> None:
        """A new action: what is shown changes at these voxels (flat indices, each once), and the segment with it."""
        before = self._stamp
        if len(changed):
            isAdded = ~self.shown_kji.reshape(-1)[changed]
            self._history.saveState(self._node)
            with slicer.util.NodeModify(self._node):
                self.writer.write(changed, isAdded)
        self._invert(changed)
        self._done.append(_Step(changed, before, self._stamp))
        self._undone.clear()

    def undo(self, changed: np.ndarray) -> None:
        """Restore the voxels before the last action; what is shown changes at these."""
        step = self._done.pop()
        self._undone.append(step)
        if len(step.changed):
            self._history.undo(self._node)
        self._invert(changed)

    def redo(self, changed: np.ndarray) -> None:
        """Restore the voxels after the action that was undone last; what is shown changes at these."""
        step = self._undone.pop()
        self._done.append(step)
        if len(step.changed):
            self._history.redo(self._node)
        self._invert(changed)

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
            if len(step.changed) and step.before == stamp:
                return -count
        for count, step in enumerate(reversed(self._undone), 1):
            if len(step.changed) and step.after == stamp:
                return count
        return None

    def follow(self, isUndone: bool, changed: np.ndarray) -> None:
        """One action was undone, or done again, by somebody else; what is shown changes at these voxels."""
        source, target = (self._done, self._undone) if isUndone else (self._undone, self._done)
        target.append(source.pop())
        self._invert(changed)

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
