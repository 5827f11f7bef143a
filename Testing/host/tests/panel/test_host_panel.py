"""A scripted module with a .ui panel, written as for Slicer, on the host."""

import gc

import numpy as np
import pytest
import qt
import slicer

from slicerhost.views import qt_mouse
from slicerhost.views.placing import start_placing

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>TinyPanel</class>
 <widget class="qMRMLWidget" name="TinyPanel">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="inputsSection">
     <property name="text"><string>Inputs</string></property>
     <layout class="QFormLayout" name="formLayout">
      <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="inputSelector">
       <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
       <property name="noneEnabled"><bool>true</bool></property>
       <property name="SlicerParameterName" stdset="0"><string>inputVolume</string></property>
      </widget></item>
      <item row="1" column="1"><widget class="ctkSliderWidget" name="overlapSlider">
       <property name="decimals"><number>3</number></property>
       <property name="SlicerParameterName" stdset="0"><string>overlap</string></property>
      </widget></item>
      <item row="2" column="1"><widget class="QComboBox" name="deviceSelector">
       <property name="SlicerParameterName" stdset="0"><string>device</string></property>
      </widget></item>
      <item row="3" column="1"><widget class="QCheckBox" name="ttaCheckBox">
       <property name="SlicerParameterName" stdset="0"><string>tta</string></property>
      </widget></item>
      <item row="4" column="1"><widget class="QLineEdit" name="nameEdit">
       <property name="SlicerParameterName" stdset="0"><string>outputName</string></property>
      </widget></item>
      <item row="5" column="1"><widget class="qMRMLNodeComboBox" name="unconnectedSelector">
       <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
      </widget></item>
     </layout>
    </widget>
   </item>
   <item><widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget></item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
  <customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header>
   <container>1</container></customwidget>
  <customwidget><class>ctkSliderWidget</class><extends>QWidget</extends><header>ctkSliderWidget.h</header></customwidget>
 </customwidgets>
 <connections>
  <connection><sender>TinyPanel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>inputSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>
 </connections>
</ui>
"""

SOURCE = """
import enum
from typing import Annotated

import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

events = []


class Device(enum.Enum):
    AUTO = "auto"
    CPU = "cpu"

    def label(self):
        return {"auto": _("Automatic"), "cpu": _("CPU")}[self.value]


@parameterNodeWrapper
class TinyPanelParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    overlap: Annotated[float, WithinRange(0, 0.9)] = 0.5
    device: Device
    tta: bool = True
    outputName: str = "Segmentation"


class TinyPanel(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Tiny panel")


class TinyPanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TinyPanel.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = TinyPanelLogic()
        self.parameterNode = TinyPanelParameterNode(self.logic.getParameterNode())
        self.guiTag = self.parameterNode.connectGui(self.ui)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneClosed)

    def onApply(self, checked=False):
        events.append("apply")

    def onSceneClosed(self, caller, event):
        events.append("scene closed")

    def enter(self):
        events.append("enter")

    def exit(self):
        events.append("exit")

    def cleanup(self):
        self.removeObservers()
        self.parameterNode.disconnectGui(self.guiTag)
        events.append("cleanup")


class TinyPanelLogic(ScriptedLoadableModuleLogic):
    pass
"""


@pytest.fixture
def module(host, tmp_path):
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "Resources" / "UI" / "TinyPanel.ui").write_text(UI)
    (tmp_path / "TinyPanel.py").write_text(SOURCE)
    return host.load_module(tmp_path / "TinyPanel.py")


@pytest.fixture
def panel(module):
    """The module's Python widget, shown."""
    representation = module.widgetRepresentation()
    representation.show()
    return representation.self()


@pytest.fixture
def volume_node():
    return slicer.util.addVolumeFromArray(np.ones((4, 5, 6)), name="CT")


def test_widgets_show_the_parameters_and_change_them(panel, volume_node):
    ui, parameters = panel.ui, panel.parameterNode
    assert (ui.overlapSlider.value, ui.overlapSlider.maximum) == (0.5, 0.9)
    assert (ui.deviceSelector.currentText, ui.ttaCheckBox.checked, ui.nameEdit.text) == ("Automatic", True, "Segmentation")
    ui.inputSelector.setCurrentNode(volume_node)
    ui.overlapSlider.value = 0.25
    ui.deviceSelector.setCurrentIndex(1)
    qt_mouse.click(ui.ttaCheckBox)
    ui.nameEdit.text = "Liver"
    assert parameters.inputVolume is volume_node
    assert (parameters.overlap, parameters.device.value, parameters.tta) == (0.25, "cpu", False)
    assert parameters.outputName == "Liver"


def test_parameters_change_the_widgets(panel, volume_node):
    ui, parameters = panel.ui, panel.parameterNode
    parameters.inputVolume = volume_node
    parameters.overlap = 0.75
    parameters.device = type(parameters.device).CPU
    parameters.tta = False
    assert ui.inputSelector.currentNode() is volume_node
    assert (ui.overlapSlider.value, ui.deviceSelector.currentText, ui.ttaCheckBox.checked) == (0.75, "CPU", False)
    parameters.disconnectGui(panel.guiTag)
    parameters.overlap = 0.5
    assert ui.overlapSlider.value == 0.75
    panel.guiTag = parameters.connectGui(panel.ui)
    assert ui.overlapSlider.value == 0.5


def test_only_widgets_that_the_ui_connects_learn_of_the_scene(panel, volume_node):
    assert panel.ui.inputSelector.mrmlScene() is slicer.mrmlScene
    panel.ui.inputSelector.setCurrentNode(volume_node)
    assert panel.ui.inputSelector.currentNode() is volume_node
    assert panel.ui.unconnectedSelector.mrmlScene() is None
    panel.ui.unconnectedSelector.setCurrentNode(volume_node)
    assert panel.ui.unconnectedSelector.currentNode() is None


def test_stand_in_widgets_of_the_ui_survive_garbage_collection(host, panel):
    gc.collect()
    host.process_events()
    panel.ui.overlapSlider.value = 0.125
    found = [child for child in panel.parent.findChildren(qt.QWidget) if child.name == "overlapSlider"]
    assert [type(widget).__name__ for widget in found] == ["ctkSliderWidget"]
    assert found[0].value == 0.125


def test_a_widget_without_stand_in_is_an_error(tmp_path):
    path = tmp_path / "Unknown.ui"
    path.write_text(UI.replace("ctkSliderWidget", "ctkRangeWidget"))
    with pytest.raises(NotImplementedError, match=r"ctkRangeWidget \(widget overlapSlider\)"):
        slicer.util.loadUI(str(path))


def test_a_connection_to_a_widget_that_is_not_there_is_an_error(tmp_path):
    path = tmp_path / "Wrong.ui"
    path.write_text(UI.replace("<receiver>inputSelector", "<receiver>inputSelektor"))
    with pytest.raises(RuntimeError, match="inputSelektor"):
        slicer.util.loadUI(str(path))


def test_the_panel_lives_as_slicer_lets_it_live(host, module, panel):
    import TinyPanel

    assert slicer.util.getModuleWidget("TinyPanel") is panel
    assert slicer.util.getModuleLogic("TinyPanel") is panel.logic
    module.widgetRepresentation().enter()
    qt_mouse.click(panel.ui.applyButton)
    host.clear_scene()
    module.widgetRepresentation().exit()
    host.unload_modules()
    assert TinyPanel.events == ["enter", "apply", "scene closed", "exit", "cleanup"]
    assert not hasattr(slicer.modules, "TinyPanelWidget")


def test_reloading_replaces_the_python_widget_and_keeps_the_parameters(module, panel):
    panel.parameterNode.overlap = 0.25
    slicer.util.reloadScriptedModule("TinyPanel")
    reloaded = module.widgetRepresentation().self()
    assert reloaded is not panel
    assert slicer.modules.TinyPanelWidget is reloaded
    assert reloaded.ui.overlapSlider.value == 0.25


def test_a_click_into_the_shown_view_places_a_point(host, make_slice_view, show_view, volume_node):
    view = make_slice_view()
    widget = show_view(view, 300, 200)
    view.show_volume(volume_node)
    assert view.size == (300, 200)
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    start_placing(points)
    position = widget.qt_position(170, 80)
    qt_mouse.QtMouse(widget).click(position.x(), position.y())
    (placed_ras,) = slicer.util.arrayFromMarkupsControlPoints(points)
    np.testing.assert_allclose(placed_ras, view.xy_to_ras(170, 80), atol=0.01)


def test_the_shown_view_paints_what_is_rendered_and_renders_when_the_scene_changes(host, make_slice_view, show_view):
    view = make_slice_view()
    widget = show_view(view, 160, 120)
    assert widget.grab().toImage().pixelColor(80, 60).lightness() == 0
    volume = slicer.util.addVolumeFromArray(np.full((20, 20, 20), 100.0))
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(100, 50)
    view.show_volume(volume)
    host.wait_until(lambda: widget.grab().toImage().pixelColor(80, 60).lightness() > 200)
    offset_mm = view.node.GetSliceOffset()
    qt_mouse.QtMouse(widget).wheel(80, 60, 2)
    assert view.node.GetSliceOffset() == pytest.approx(offset_mm + 2)
