"""Undo and redo of what this module does to segmentations: one step for each action of the user, many steps deep."""

import slicer

# All that a refinement can take back, and the state that the first undo leaves.
_MAXIMUM_STEPS = 65


class EditHistory:
    """One vtkSegmentationHistory for each segmentation that was edited."""

    def __init__(self) -> None:
        self._histories: list[tuple[object, object]] = []  # (segmentation node, its history)

    def historyOf(self, segmentationNode):
        """The node's vtkSegmentationHistory, made on the first call; a vtkSlicerSegmentEditorLogic can share it."""
        found = self._find(segmentationNode)
        if found is not None:
            return found
        history = slicer.vtkSegmentationHistory()
        history.SetMaximumNumberOfStates(_MAXIMUM_STEPS)
        history.SetSegmentation(segmentationNode.GetSegmentation())
        self._histories.append((segmentationNode, history))
        return history

    def saveState(self, segmentationNode) -> None:
        """Remember the segmentation as it is: to be called once, before each action."""
        self.historyOf(segmentationNode).SaveState()

    def canUndo(self, segmentationNode) -> bool:
        """Whether there is an earlier state; False for None."""
        history = self._find(segmentationNode)
        return history is not None and bool(history.IsRestorePreviousStateAvailable())

    def canRedo(self, segmentationNode) -> bool:
        """Whether there is a state that was undone; False for None."""
        history = self._find(segmentationNode)
        return history is not None and bool(history.IsRestoreNextStateAvailable())

    def undo(self, segmentationNode) -> None:
        """Back to the state before the last action; without one, nothing happens."""
        self.historyOf(segmentationNode).RestorePreviousState()

    def redo(self, segmentationNode) -> None:
        """Forward to the state that was undone; without one, nothing happens."""
        self.historyOf(segmentationNode).RestoreNextState()

    def forgetRemoved(self) -> None:
        """Drop the states of segmentations that are no longer in the scene."""
        self._histories = [(node, history) for node, history in self._histories if slicer.mrmlScene.IsNodePresent(node)]

    def _find(self, segmentationNode):
        return next((history for node, history in self._histories if node is segmentationNode), None)
