"""The Segment Editor effect "MedNeXt Refine". Slicer loads this file by its path and wants a class of this name; what it does is in
MedNeXtSegmentLib/Refine/RefineEffect.py and, shared with the module's Refine tab, MedNeXtSegmentLib/Refine/RefineTools.py."""

from pathlib import Path

import qt
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """The effect as Slicer knows it: hands every call on to RefineEffect.

    Args:
        scriptedEffect: the qSlicerSegmentEditorScriptedEffect that calls this object's methods.
    """

    def __init__(self, scriptedEffect):
        scriptedEffect.name = "MedNeXt Refine"  # the editor's key for it: not translated
        scriptedEffect.title = _("MedNeXt Refine")
        scriptedEffect.perSegment = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self.refine = None

    def clone(self):
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        clonedEffect = effects.qSlicerSegmentEditorScriptedEffect(None)
        clonedEffect.setPythonSource(Path(__file__).as_posix())
        return clonedEffect

    def icon(self):
        return qt.QIcon(str(Path(__file__).parents[1] / "Resources" / "Icons" / "MedNeXtSegment.png"))

    def helpText(self):
        return _(
            "<html>Correct the selected segment by points, strokes and boxes in any slice view; a network follows. "
            "<b>Point +</b>: the object is here. <b>Point −</b>: it is not. <b>Box</b>: two opposite corners around it. "
            "<b>Scribble</b>: a line along the object, or beside it. <b>Lasso</b>: around what belongs to it, or around what does not. "
            "<b>Whole object</b> carries a slice on until the object ends; correct any of its slices and press again. "
            "<b>Propagate</b> carries a slice on to its neighbors, <b>Accept</b> keeps that. "
            "Masking and Undo are the Segment Editor's own.</html>"
        )

    def setupOptionsFrame(self):
        from MedNeXtSegmentLib.Refine.RefineEffect import RefineEffect  # not when Slicer starts

        uiPath = Path(__file__).parents[1] / "Resources" / "UI" / "RefineTools.ui"
        self.refine = RefineEffect(self.scriptedEffect, str(uiPath))

    def activate(self):
        self.refine.activate()

    def deactivate(self):
        self.refine.deactivate()

    def cleanup(self):
        if self.refine is not None:
            self.refine.close()

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        return self.refine.processInteractionEvents(callerInteractor, eventId, viewWidget)

    def setMRMLDefaults(self):
        """There are no parameters of its own."""

    def updateGUIFromMRML(self):
        self.refine.update()

    def updateMRMLFromGUI(self):
        """There are no parameters of its own."""
