"""A segment as a refinement shows it: written as one step of undo for each action, and watched for what others do to it."""

import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np
import slicer

from mednextseg.refine.slice_session import UNDO_LEVELS
from MedNeXtSegmentLib.EditHistory import EditHistory
from MedNeXtSegmentLib.SegmentWriter import SegmentWriter


@dataclass(frozen=True)
class _Step:
    """An action: whether it wrote anything, and the stamps of the segment's voxels before and after it."""

    isWritten: bool
    before: tuple
    after: tuple


class RefinedSegment:
    """Args:
    volumeNode, segmentationNode, segmentId: the segment, and the source volume of the editor.
    history: where the state before each action is kept.
    settingsNode: as in SegmentWriter.

    Attributes:
        writer: the SegmentWriter.
        stored_kji: (K, J, I) bool, the segment's voxels as they were seen last.
    """

    def __init__(self, volumeNode, segmentationNode, segmentId: str, history: EditHistory, settingsNode=None) -> None:
        self._node, self._history = segmentationNode, history
        self.writer = SegmentWriter(volumeNode, segmentationNode, segmentId, settingsNode)
        self._shown_kji = self.stored_kji = self.writer.read()
        self._version, self._stamp = self.writer.version, _stampOf(self.stored_kji)
        # Of each action, as many as the refinement keeps.
        self._done: deque[_Step] = deque(maxlen=UNDO_LEVELS)
        self._undone: deque[_Step] = deque(maxlen=UNDO_LEVELS)

    def close(self) -> None:
        """Nothing is written any more."""
        self.writer.close()

    @property
    def shown_kji(self) -> np.ndarray:
        """(K, J, I) bool: what the last action asked for, before masking."""
        return self._shown_kji

    @property
    def canUndo(self) -> bool:
        return bool(self._done) and (not self._done[-1].isWritten or self._history.canUndo(self._node))

    @property
    def canRedo(self) -> bool:
        return bool(self._undone) and (not self._undone[-1].isWritten or self._history.canRedo(self._node))

    def show(self, shown_kji: np.ndarray) -> None:
        """The result of a new action: where it differs from what is shown, it is written."""
        isWritten, before = not np.array_equal(shown_kji, self._shown_kji), self._stamp
        if isWritten:
            self._history.saveState(self._node)
            with slicer.util.NodeModify(self._node):
                self.writer.write(self._shown_kji, shown_kji)
            self._look()
        self._shown_kji = shown_kji
        self._done.append(_Step(isWritten, before, self._stamp))
        self._undone.clear()

    def undo(self, shown_kji: np.ndarray) -> None:
        """Restore the voxels before the last action; `shown_kji` is what was shown then."""
        step = self._done.pop()
        self._undone.append(step)
        if step.isWritten:
            self._history.undo(self._node)
            self._look()
        self._shown_kji = shown_kji

    def redo(self, shown_kji: np.ndarray) -> None:
        """Restore the voxels after the action that was undone last."""
        step = self._undone.pop()
        self._done.append(step)
        if step.isWritten:
            self._history.redo(self._node)
            self._look()
        self._shown_kji = shown_kji

    def changesByOthers(self) -> int | None:
        """What somebody else did to the voxels: 0 nothing, -n undid the last n actions (with the Segment Editor's own Undo, say),
        n did the last n that were undone again, None anything else."""
        if self.writer.version == self._version:
            return 0
        self._version = self.writer.version
        now_kji = self.writer.read()
        if np.array_equal(now_kji, self.stored_kji):
            return 0
        stamp = _stampOf(now_kji)
        for count, step in enumerate(reversed(self._done), 1):
            if step.isWritten and step.before == stamp:
                return -count
        for count, step in enumerate(reversed(self._undone), 1):
            if step.isWritten and step.after == stamp:
                return count
        return None

    def follow(self, isUndone: bool, shown_kji: np.ndarray) -> None:
        """One action was undone, or done again, by somebody else."""
        source, target = (self._done, self._undone) if isUndone else (self._undone, self._done)
        target.append(source.pop())
        self._shown_kji = shown_kji
        self._look()

    def _look(self) -> None:
        self._version, self.stored_kji = self.writer.version, self.writer.read()
        self._stamp = _stampOf(self.stored_kji)


def _stampOf(mask_kji: np.ndarray) -> tuple:
    """The same for the same voxels."""
    packed = np.packbits(mask_kji)
    return zlib.crc32(packed), zlib.adler32(packed)
