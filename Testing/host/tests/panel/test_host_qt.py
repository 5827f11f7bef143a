"""PythonQt's manners on PySide6, and the simulated mouse of Qt widgets."""

import sys

import ctk
import pytest
import qt
import slicer

from slicerhost.views import qt_mouse
from slicerhost.widgets import qt_shim


def test_a_property_is_an_attribute_and_wins_over_the_method_of_its_name():
    button = qt.QPushButton("Apply")
    assert button.text == "Apply"
    button.text = "Cancel"
    button.enabled = False
    assert (button.text, button.isEnabled()) == ("Cancel", False)
    with pytest.raises(TypeError):
        button.text()
    box = qt.QSpinBox()
    box.maximum = 7
    box.setValue(9)
    assert box.value == 7
    assert type(button) is qt.QPushButton


def test_enumerations_read_as_integers_and_read_only_properties_refuse():
    label = qt.QLabel("x")
    label.textFormat = qt.Qt.RichText
    assert label.textFormat == qt.Qt.RichText.value
    label.textFormat = qt.Qt.PlainText.value
    assert label.textFormat == qt.Qt.PlainText.value
    label.alignment = qt.Qt.AlignRight | qt.Qt.AlignTop
    assert label.alignment == (qt.Qt.AlignRight | qt.Qt.AlignTop).value
    with pytest.raises(ValueError, match="frameGeometry"):
        label.frameGeometry = qt.QRect()
    with pytest.raises(ValueError, match="does not accept"):
        label.pos = "nowhere"


def test_signals_connect_by_signature_and_by_name():
    button = qt.QPushButton("Apply")
    calls = []

    def on_clicked(checked):
        calls.append(checked)

    button.connect("clicked(bool)", on_clicked)
    button.clicked.connect(on_clicked)
    button.click()
    assert calls == [False, False]
    button.disconnect("clicked(bool)", on_clicked)
    button.click()
    assert len(calls) == 3
    with pytest.raises(ValueError, match="no signal clacked"):
        button.connect("clacked(bool)", on_clicked)


def test_an_attribute_that_qt_does_not_know_is_found():
    window = qt.QWidget()
    qt.QVBoxLayout(window)
    button = qt.QPushButton("Apply")
    button.objectName = "applyButton"
    window.layout().addWidget(button)
    assert qt_shim.stray_attributes(window) == {}
    button.txet = "misspelled"
    assert qt_shim.stray_attributes(window) == {"applyButton": ["txet"]}


def test_settings_of_the_user_are_not_touched(host):
    settings = slicer.app.userSettings()
    assert settings.fileName().startswith(host.temporary_path)
    settings.setValue("MedNeXtSegment/Device", "cpu")
    assert slicer.util.settingsValue("MedNeXtSegment/Device", "auto") == "cpu"
    settings.remove("MedNeXtSegment")
    assert slicer.util.settingsValue("MedNeXtSegment/Device", "auto") == "auto"


def test_message_boxes_do_not_wait_for_a_click():
    slicer.util.errorDisplay("Out of memory")
    slicer.util.delayDisplay("done", 10)
    # Slicer's own code: against its docstring, in testing mode the answer is no.
    assert slicer.util.confirmOkCancelDisplay("Install?") is False


def test_timers_and_processes_run_in_the_event_loop(host):
    calls = []
    qt.QTimer.singleShot(1, lambda: calls.append("timer"))
    process = qt.QProcess()
    process.start(sys.executable, ["-c", "print('worker')"])
    host.wait_until(lambda: calls and process.state() == qt.QProcess.NotRunning, timeout_s=60)
    assert process.readAllStandardOutput().data().split() == [b"worker"]


def test_clicks_obey_enabled_and_the_collapsible_section_folds_its_contents(host):
    section = ctk.ctkCollapsibleButton()
    section.text = "Inputs"
    layout = qt.QFormLayout(section)
    check_box = qt.QCheckBox("TTA")
    layout.addRow(check_box)
    section.resize(200, 80)
    section.show()
    host.process_events()
    qt_mouse.click(check_box)
    assert check_box.checked
    check_box.enabled = False
    qt_mouse.click(check_box)
    assert check_box.checked
    toggled = []
    section.toggled.connect(toggled.append)
    qt_mouse.QtMouse(section).click(50, 5)
    assert (section.collapsed, check_box.visible, toggled) == (True, False, [False])
    section.collapsed = False
    assert check_box.visible


def test_a_folded_section_takes_no_room_for_the_margins_of_what_it_hides(host):
    window = qt.QWidget()
    column, section, below = qt.QVBoxLayout(window), ctk.ctkCollapsibleButton(), qt.QLabel("below")
    qt.QVBoxLayout(section).addWidget(qt.QTableWidget())
    for widget in (section, below):
        column.addWidget(widget)
    column.addStretch(1)
    window.resize(200, 600)
    window.show()
    host.process_events()
    unfolded = section.height
    section.collapsed = True
    host.process_events()
    assert section.height == 18 + section.collapsedHeight < unfolded
    section.collapsed = False
    host.process_events()
    assert section.height == unfolded


def test_wheel_and_keys_reach_the_widget(host):
    box = qt.QSpinBox()
    box.show()
    box.setFocus()
    host.process_events()
    qt_mouse.QtMouse(box).wheel(10, 10, 3)
    assert box.value == 3
    qt_mouse.press_key(box, qt.Qt.Key_Down)
    assert box.value == 2


def test_a_slider_and_a_path_line_edit_behave_as_ctks():
    slider = ctk.ctkSliderWidget()
    slider.minimum, slider.maximum = 0, 0.9
    slider.decimals = 3
    slider.singleStep = 0.125
    values = []
    slider.connect("valueChanged(double)", values.append)
    slider.value = 0.5
    slider.value = 5
    assert (slider.value, values) == (0.9, [0.5, 0.9])
    path_edit = ctk.ctkPathLineEdit()
    paths = []
    path_edit.currentPathChanged.connect(paths.append)
    valid = []
    path_edit.validInputChanged.connect(valid.append)
    path_edit.currentPath = "models"
    path_edit.currentPath = "models"
    path_edit.currentPath = ""
    assert (paths, valid) == (["models"], [True, False])


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (ctk.ctkCollapsibleButton, ["setCollapsed"]),
        (ctk.ctkSliderWidget, ["setMinimum", "setMaximum", "setRange"]),
        (slicer.qMRMLNodeComboBox, ["nodes"]),
        (lambda: qt.QColor(1, 2, 3), ["getRgb"]),
    ],
)
def test_what_python_cannot_call_in_slicer_it_cannot_call_here(make, names):
    thing = make()
    assert [name for name in names if hasattr(thing, name)] == []


def test_the_node_selector_lists_by_type_and_does_not_select_an_added_node():
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    selector.setMRMLScene(slicer.mrmlScene)
    chosen = []
    selector.currentNodeChanged.connect(lambda *_: chosen.append(selector.currentNode()))
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    hidden.UnRegister(None)
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(hidden)
    selector.setCurrentNode(hidden)
    assert selector.currentNode() is None
    assert (selector.currentNode(), chosen) == (None, [])
    selector.setCurrentNode(volume)
    assert (selector.currentNodeID, chosen) == (volume.GetID(), [volume])
    slicer.mrmlScene.RemoveNode(volume)
    assert (selector.currentNode(), chosen) == (None, [volume, None])


def test_the_segment_selector_follows_the_segmentation():
    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(slicer.mrmlScene)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    selector.setCurrentNode(node)
    assert selector.currentSegmentID() == ""
    node.GetSegmentation().AddEmptySegment("a", "liver")
    node.GetSegmentation().AddEmptySegment("b", "spleen")
    assert selector.currentSegmentID() == "a"
    selector.setCurrentSegmentID("b")
    node.GetSegmentation().RemoveSegment("b")
    assert selector.currentSegmentID() == "a"
    slicer.mrmlScene.RemoveNode(node)
    assert (selector.currentNode(), selector.currentSegmentID()) == (None, "")


def test_a_deleted_selector_is_no_longer_called_by_the_scene(host):
    window = qt.QWidget()
    selector = slicer.qMRMLNodeComboBox(window)
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    window.delete()
    host.process_events()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")  # would raise through the observer


def test_the_place_widget_switches_the_scene_into_place_mode():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    widget = slicer.qSlicerMarkupsPlaceWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setCurrentNode(node)
    modes = []
    widget.activeMarkupsPlaceModeChanged.connect(modes.append)
    widget.setPlaceModeEnabled(True)
    assert widget.placeModeEnabled
    widget.setPlaceModeEnabled(False)
    assert not widget.placeModeEnabled
    assert modes == [True, False]
