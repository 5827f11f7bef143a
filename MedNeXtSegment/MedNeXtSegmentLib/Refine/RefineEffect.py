"""What the Segment Editor effect does: the Refine tools on the editor's own segment, with the editor's own clicks, undo and masking."""

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib.Refine.ClickSources import EffectClicks
from MedNeXtSegmentLib.Refine.PrompterChoice import chosenPrompter
from MedNeXtSegmentLib.Refine.RefineTarget import RefineTarget
from MedNeXtSegmentLib.Refine.RefineTools import RefineTools
from MedNeXtSegmentLib.Scene.Representations import SourceChange


class RefineEffect:
    """The tools in the Segment Editor, for the segment that is selected there.

    Args:
        scriptedEffect: qSlicerSegmentEditorScriptedEffect.
        uiPath: of RefineTools.ui.

    Attributes:
        tools: the RefineTools.
    """

    def __init__(self, scriptedEffect, uiPath: str) -> None:
        self._effect, self._isActive = scriptedEffect, False
        self._clicks = EffectClicks()
        self._history = EffectHistory(scriptedEffect)
        widget = slicer.util.loadUI(uiPath)
        # The editor has its own way to choose a segment, and its own keys for undo and redo. The buttons stay for previews, which
        # the editor does not know.
        self.tools = RefineTools(
            widget,
            lambda: _module().logic.refine,
            self._clicks,
            self._target,
            hidden=("nextSegmentButton",),
            keyless=("undoButton", "redoButton"),
        )
        scriptedEffect.addOptionsWidget(widget)

    def activate(self) -> None:
        """The user chose the effect."""
        self._isActive = True
        self.tools.setActive(True)

    def deactivate(self) -> None:
        """The user chose another one, or none: prompts and previews go, the segment stays as it is."""
        self._isActive = False
        self.tools.leave()

    def close(self) -> None:
        """The effect goes."""
        self.tools.close()

    def update(self) -> None:
        """The editor's parameters changed: another segment, segmentation or volume."""
        if self._isActive:
            self.tools.update()

    def processInteractionEvents(self, interactor, eventId: int, viewWidget) -> bool:
        """An event of a view; True where it is not to go on to the view."""
        return self._clicks.process(interactor, eventId, self._effect.viewNode(viewWidget), self._isWanted)

    def _isWanted(self) -> bool:
        return bool(self._effect.confirmCurrentSegmentVisible())

    def _target(self) -> RefineTarget:
        editor = self._effect.parameterSetNode()
        if editor is None:
            return RefineTarget(missing=_("The Segment Editor is not ready."))
        volume, segmentation = editor.GetSourceVolumeNode(), editor.GetSegmentationNode()
        segmentId = editor.GetSelectedSegmentID() or ""
        if volume is None:
            missing = _("Choose a source volume.")
        elif segmentation is None or segmentation.GetSegmentation().GetSegment(segmentId) is None:
            missing = _("Choose a segment.")
        else:
            # Looking for packages takes longer than a click may; where a session runs, there is what it needs.
            missing = _module().panel.setup.whatIsMissing() if self.tools.session is None else ""
        options = (("history", self._history), ("settingsNode", editor), *chosenPrompter())
        return RefineTarget(volume, segmentation, segmentId, missing, options)


class EffectHistory:
    """In the place of an EditHistory: states, surfaces included, are kept, undone and redone by the Segment Editor."""

    keepsShapes = True

    def __init__(self, scriptedEffect) -> None:
        self._effect = scriptedEffect

    def perform(self, segmentationNode, write: Callable[[], object], _grid=None, _voxels=None) -> object:
        """Change a segmentation as one step of the editor's undo."""
        self._effect.saveStateForUndo()
        SourceChange(segmentationNode.GetSegmentation())
        with slicer.util.NodeModify(segmentationNode):
            write()
        return self

    def canUndo(self, _segmentationNode, _step=None) -> bool:
        """Never from here: the Segment Editor's own Undo does it, and the session follows."""
        return False

    def canRedo(self, _segmentationNode, _step=None) -> bool:
        """Never from here, as `canUndo`."""
        return False

    def follow(self, _segmentationNode, _step, _isUndone: bool) -> None:
        """Nothing to take notice of: the editor knows."""


def _module():
    """The module's Python widget, set up; it keeps the worker that the effect shares."""
    return slicer.modules.mednextsegment.widgetRepresentation().self()
