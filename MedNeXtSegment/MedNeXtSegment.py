"""MedNeXtSegment: automatic 3D segmentation of CT and MR volumes. This file is wiring only; the work is in MedNeXtSegmentLib."""

import importlib
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MedNeXtSegmentLib.ModuleLogic import MedNeXtSegmentLogic

#
# MedNeXtSegment
#


class MedNeXtSegment(ScriptedLoadableModule):
    """Describes the module to Slicer."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedNeXt Segment")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = []
        self.parent.contributors = ["MedNeXtSegment contributors"]
        self.parent.helpText = _(
            "Segments CT and MR volumes automatically with MedNeXt networks: pick a volume and a model, press Apply, and get named, "
            "colored segments. Everything is computed on this computer and nothing is sent anywhere, unless you choose a server in Set-up."
        )
        self.parent.helpText += self.getDefaultModuleDocumentationLink()
        self.parent.acknowledgementText = _(
            "MedNeXt was published by S. Roy et al. (MICCAI 2023). Each model's card names its training data, license and citation."
        )
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        """Offer sample data and settings where the application has a place for them."""
        from MedNeXtSegmentLib.ModuleStartup import offerInSlicer

        offerInSlicer(self.resourcePath)
        self.registerEditorEffect()

    def registerEditorEffect(self):
        """Offer "MedNeXt Refine" in the Segment Editor."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        effect = effects.qSlicerSegmentEditorScriptedEffect(None)
        effect.setPythonSource((Path(__file__).parent / "MedNeXtSegmentEffect" / "SegmentEditorEffect.py").as_posix())
        effect.self().register()


#
# MedNeXtSegmentParameterNode: see MedNeXtSegmentLib/ParameterNode.py
#

#
# MedNeXtSegmentWidget
#


class MedNeXtSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Builds the panel and follows the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None

    def setup(self):
        """Called once, when the user first opens the module."""
        from MedNeXtSegmentLib.ModulePanel import ModulePanel

        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MedNeXtSegmentLogic()
        self.panel = ModulePanel(self.layout, self.resourcePath, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the application closes and before a reload."""
        self.removeObservers()
        self.panel.close()
        self.logic.close()

    def enter(self):
        """The user opened the module."""
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self):
        """The user went to another module; a run goes on."""
        self.panel.exit()

    def onSceneStartClose(self, caller=None, event=None):
        """The parameter node goes with the scene."""
        self.panel.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        """A new scene has a new parameter node."""
        self.initializeParameterNode()

    def initializeParameterNode(self):
        """Show the scene's parameters."""
        self.panel.followScene()

    def onReload(self):
        """Developer's reload: the packages beside this file as well."""
        for name in [
            name for name in sys.modules if name.split(".")[0] in ("MedNeXtSegmentEffect", "MedNeXtSegmentLib", "mednextseg")
        ]:
            del sys.modules[name]
        importlib.invalidate_caches()
        with slicer.util.tryWithErrorDisplay(_("The module could not be reloaded.")):
            slicer.util.reloadScriptedModule(self.moduleName)
            if self.parent.isEntered:  # Slicer does not enter the new panel by itself
                slicer.util.getModuleWidget(self.moduleName).enter()


#
# MedNeXtSegmentLogic: see MedNeXtSegmentLib/ModuleLogic.py
#

#
# MedNeXtSegmentTest
#


class MedNeXtSegmentTest(ScriptedLoadableModuleTest):
    """Self-test of a real Slicer: what needs no PyTorch. The tests proper are in Testing/."""

    def runTest(self):
        """Called by Slicer's Reload and Test button and by the CTest that is registered for this file."""
        slicer.mrmlScene.Clear(0)
        self.test_ParametersSurviveInTheScene()

    def test_ParametersSurviveInTheScene(self):
        """What is set through one wrapper is read through another one."""
        MedNeXtSegmentLogic().getParameterNode().overlap = 0.25
        assert MedNeXtSegmentLogic().getParameterNode().overlap == 0.25
