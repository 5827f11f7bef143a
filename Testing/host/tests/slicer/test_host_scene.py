"""The host's scene and application, without Qt."""

import subprocess
import sys
from pathlib import Path

import pytest
import slicer

import slicerhost


def test_slicer_util_names_do_not_leak_into_slicer():
    for name in ("loadVolume", "arrayFromVolume", "getNode", "updateSegmentBinaryLabelmapFromArray"):
        assert hasattr(slicer.util, name)
        assert not hasattr(slicer, name)


def test_scene_and_segmentation_work_without_qt_and_without_a_rendering_library():
    script = """
import sys
import numpy as np
import slicerhost
slicerhost.start()
import slicer
volume = slicer.util.addVolumeFromArray(np.ones((4, 5, 6)))
segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
segment_id = segmentation.GetSegmentation().AddEmptySegment("a")
slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones((4, 5, 6), np.uint8), segmentation, segment_id, volume)
print("voxels", slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).sum())
print("qt", [name for name in sys.modules if name == "qt" or name.startswith("PySide6")])
maps = open("/proc/self/maps").read() if sys.platform.startswith("linux") else ""
print("libraries", [name for name in ("libGL.so", "libEGL", "libOSMesa", "libX11", "libQt6") if name in maps])
"""
    host_folder = Path(slicerhost.__file__).parents[1]
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, cwd=host_folder, check=False, timeout=120)
    assert result.stdout.splitlines() == ["voxels 120", "qt []", "libraries []"], result.stdout + result.stderr


def test_the_application_has_only_what_it_lists(host):
    assert slicer.app.mrmlScene() is slicer.mrmlScene is host.scene
    assert (slicer.app.majorVersion, slicer.app.minorVersion) >= (5, 10)
    assert slicer.app.layoutManager() is None
    with pytest.raises(AttributeError):
        slicer.app.pythonConsole()
    with pytest.raises(AttributeError):
        slicer.app.myNewAttribute = 1
    with pytest.raises(ValueError, match="startupCompleted"):
        slicer.app.connect("startupFinished()", print)
    with pytest.raises(AttributeError):
        slicer.modules.dicom  # noqa: B018 - the access is what is tested


def test_every_module_logic_is_the_real_one_and_knows_the_scene():
    for name in ("volumes", "segmentations", "markups", "models", "cropvolume", "subjecthierarchy", "sequences"):
        logic = getattr(slicer.modules, name).logic()
        assert logic.GetMRMLScene() is slicer.mrmlScene
        assert slicer.util.getModule(name).logic() is logic


def test_subject_hierarchy_items_come_and_go_with_their_nodes():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "a")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item_id = hierarchy.GetItemByDataNode(node)
    assert item_id
    assert hierarchy.GetItemName(item_id) == "a"
    slicer.mrmlScene.RemoveNode(node)
    assert not hierarchy.GetItemName(item_id)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_starts_in_an_empty_scene(turn):
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", turn)


def test_the_host_starts_only_once(host):
    assert slicerhost.start() is host
    assert slicer.mrmlScene is host.scene


def test_waiting_in_vain_raises(host):
    with pytest.raises(TimeoutError):
        host.wait_until(lambda: False, timeout_s=0.02)


MODULE_SOURCE = """
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *


class TinyScripted(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Tiny")
        self.parent.categories = ["Segmentation"]
        slicer.app.connect("startupCompleted()", lambda: None)


class TinyScriptedLogic(ScriptedLoadableModuleLogic):
    pass
"""


def test_a_scripted_module_loads_without_qt(host, tmp_path):
    path = tmp_path / "TinyScripted.py"
    path.write_text(MODULE_SOURCE)
    module = host.load_module(path)
    assert slicer.modules.tinyscripted is module
    assert module.title == "Tiny"
    assert slicer.util.modulePath("TinyScripted") == str(path)
    assert "TinyScripted" in slicer.app.moduleManager().modulesNames()

    import TinyScripted

    node = TinyScripted.TinyScriptedLogic().getParameterNode()
    assert TinyScripted.TinyScriptedLogic().getParameterNode() is node
    assert node.GetSingletonTag() == "TinyScripted"
    with pytest.raises(AttributeError):
        module.titel = "misspelled"
    host.unload_modules()
    assert not hasattr(slicer.modules, "tinyscripted")
