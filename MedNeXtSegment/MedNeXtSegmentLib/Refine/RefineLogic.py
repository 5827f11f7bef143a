"""Refinement between nodes: sessions that correct a segment, and their end when their nodes go. No widgets."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from mednextseg.models.library import bundled_models_folder
from mednextseg.models.model_card import CARD_FILE
from mednextseg.refine.journal import PromptJournal
from mednextseg.refine.loading import load_prompter
from mednextseg.refine.prompter import Prompter
from MedNeXtSegmentLib.Scene.EditHistory import EditHistory
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume, linearTransformToWorld

if TYPE_CHECKING:
    from MedNeXtSegmentLib.Refine.RefineSession import RefineSession


class RefineLogic(VTKObservationMixin):
    """Starts sessions, one for each segment at a time.

    Args:
        worker: the WorkerClient that runs the networks; None runs them in this process, for scripts without Qt.
        history: where the state before each action is kept.
    """

    def __init__(self, worker, history: EditHistory) -> None:
        VTKObservationMixin.__init__(self)
        self._worker, self._history = worker, history
        self._prompters: dict[tuple[str, str | None], Prompter] = {}
        self.sessions: list[RefineSession] = []
        self._journals: dict[str, list[PromptJournal]] = {}  # of sessions that ended, by the id of their segmentation
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onStartClose)
        self.addObserver(scene, scene.StartSaveEvent, self._onStartSave)

    def close(self) -> None:
        """End all sessions and observe nothing any more."""
        self._onStartClose()
        self.removeObservers()

    def startRefinement(
        self,
        volumeNode,
        segmentationNode,
        segmentId: str,
        prompter: str | Path | None = None,
        onChanged: Callable[[], None] | None = None,
        useDisplayedWindow: bool = True,
        history: EditHistory | None = None,
        settingsNode=None,
        family: str | None = None,
    ) -> "RefineSession":
        """Arguments as MedNeXtSegmentLogic.startRefinement, and, for a Segment Editor effect:

        Args:
            history: another keeper of undo states than the module's.
            settingsNode: the vtkMRMLSegmentEditorNode whose masking holds; None for that of the Segment Editor module.
        Raises:
            ValueError: for nodes that cannot be used, in one sentence; RunFailure where the worker or its network does not start.
        """
        # Imported here, because it needs scipy: the panel must open, and say so, where a package is missing.
        from MedNeXtSegmentLib.Refine.RefineSession import RefineSession

        _checkNodes(volumeNode, segmentationNode, segmentId)
        opened = self._opened(str(prompter or defaultPrompter()), family)
        _checkNodes(volumeNode, segmentationNode, segmentId)  # the scene may have changed while a network was loaded
        for other in list(self.sessions):
            if other.segmentationNode is segmentationNode and other.segmentId == segmentId:
                self.endSession(other)
        session = RefineSession(
            volumeNode,
            segmentationNode,
            segmentId,
            opened,
            history or self._history,
            onChanged,
            useDisplayedWindow,
            settingsNode,
        )
        self.sessions.append(session)
        return session

    def endSession(self, session: "RefineSession") -> None:
        """Close a session; one that is closed already is left alone."""
        if session in self.sessions:
            self.sessions.remove(session)
            if session.journal.entries:
                self._journals.setdefault(session.segmentationNode.GetID(), []).append(session.journal)
        session.close()

    def journalsOf(self, segmentationNode) -> list[PromptJournal]:
        """The journals of all corrections of a segmentation since its scene was opened, oldest first."""
        if segmentationNode is None:
            return []
        running = [session.journal for session in self.sessions if session.segmentationNode is segmentationNode]
        return [*self._journals.get(segmentationNode.GetID(), ()), *(journal for journal in running if journal.entries)]

    def _opened(self, name: str, family: str | None) -> Prompter:
        key = (name, family)
        if key not in self._prompters:
            if self._worker is None:
                self._prompters[key] = load_prompter(name, family=family)
            else:
                from MedNeXtSegmentLib.Refine.WorkerPrompter import WorkerPrompter

                self._prompters[key] = WorkerPrompter(self._worker, name, family=family)
        return self._prompters[key]

    def _onNodeRemoved(self, caller=None, event=None) -> None:
        for session in list(self.sessions):
            if not all(slicer.mrmlScene.IsNodePresent(node) for node in (session.volumeNode, session.segmentationNode)):
                self.endSession(session)
        for nodeId in [nodeId for nodeId in self._journals if slicer.mrmlScene.GetNodeByID(nodeId) is None]:
            del self._journals[nodeId]

    def _onStartSave(self, caller=None, event=None) -> None:
        for session in self.sessions:
            session.shapes.refresh()

    def _onStartClose(self, caller=None, event=None) -> None:
        for session in list(self.sessions):
            self.endSession(session)
        self._journals.clear()


def _checkNodes(volumeNode, segmentationNode, segmentId: str) -> None:
    """Raise a ValueError for what cannot be refined."""
    for node, className, kind in (
        (volumeNode, "vtkMRMLScalarVolumeNode", _("scalar volume")),
        (segmentationNode, "vtkMRMLSegmentationNode", _("segmentation")),
    ):
        if node is None or not node.IsA(className) or not slicer.mrmlScene.IsNodePresent(node):
            raise ValueError(_("Refinement needs a {kind}; choose one.").format(kind=kind))
    if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        text = _("The segmentation {name} has no segment {segment}; choose one of its segments.")
        raise ValueError(text.format(name=repr(segmentationNode.GetName()), segment=repr(segmentId)))
    arrayAndGeometryFromVolume(volumeNode)
    linearTransformToWorld(segmentationNode)


def defaultPrompter() -> str:
    """The bundled network; without it the method that needs no weights."""
    return "clicknet" if (bundled_models_folder() / "clicknet" / CARD_FILE).is_file() else "random_walker"
