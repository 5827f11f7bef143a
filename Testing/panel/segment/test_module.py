"""The module around its tabs: what loading imports, what saving and reloading keep, and where its results go on."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
import qt
import slicer
from PySide6 import QtCore, QtWidgets

from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
from MedNeXtSegmentLib.Widgets.FileDialogs import csvPath
from panel_tools import MODULE, addVolume
from panel_without_worker import choose


def test_parameters_survive_saving_and_loading_the_scene(host, widget, panel, tmp_path: Path) -> None:
    volume = addVolume("case")
    choose(panel, volume)
    parameters = panel._parameterNode
    parameters.useCardOverlap, parameters.overlap, parameters.tta = False, 0.25, True
    parameters.labelNames, parameters.minimumVolumeMm3 = "right", 12.5
    assert slicer.util.saveNode(volume, str(tmp_path / "case.nrrd"))
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.Commit()
    slicer.mrmlScene.Clear(False)
    widget.initializeParameterNode()
    assert panel._parameterNode.inputVolume is None and panel._parameterNode.overlap == 0.5
    assert slicer.mrmlScene.Import()
    widget.initializeParameterNode()
    loaded = panel._parameterNode
    assert loaded.inputVolume.GetName() == "case"
    assert (loaded.modelId, loaded.labelNames, loaded.overlap, loaded.tta) == ("tiny", "right", 0.25, True)
    assert panel.ui.minimumVolumeSpinBox.value == 12.5
    assert panel.ui.overlapSlider.value == 0.25 and panel.ui.ttaCheckBox.checked
    assert [panel.ui.labelList.item(n).checkState() == qt.Qt.Checked for n in range(2)] == [False, True]


def test_shortcuts_live_only_while_the_module_is_open(widget) -> None:
    panel = widget.panel.segment
    panel.enter()
    assert panel._shortcut.isEnabled()
    panel.exit()
    assert not panel._shortcut.isEnabled()


@pytest.fixture
def modulesAsBefore():
    """A reload makes new classes of the same names: other test files go on with theirs."""

    def ours() -> dict:
        return {name: module for name, module in sys.modules.items() if name.startswith(("MedNeXtSegmentLib", "mednextseg"))}

    before = ours()
    yield
    for name in ours():
        del sys.modules[name]
    sys.modules.update(before)


def test_a_reload_takes_the_packages_along_and_keeps_the_parameters(modulesAsBefore, host, widget, panel) -> None:
    choose(panel, addVolume("kept"))
    panel._parameterNode.tta = True
    oldClass = type(panel)
    widget.parent.enter()
    widget.onReload()
    reloaded = slicer.modules.mednextsegment.widgetRepresentation().self()
    newPanel = reloaded.panel.segment
    assert reloaded is not widget and type(newPanel) is not oldClass
    assert newPanel._parameterNode.inputVolume.GetName() == "kept" and newPanel.ui.ttaCheckBox.checked
    assert reloaded.panel._isEntered  # Slicer leaves that to the module
    assert newPanel.ui.applyButton.enabled
    slicer.mrmlScene.Clear(False)  # the old panel's observers would fail on widgets that are gone
    assert not newPanel.ui.applyButton.enabled


def test_the_result_goes_on_to_the_segment_editor(panel, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = addVolume()
    choose(panel, volume)
    assert not panel.ui.segmentEditorButton.enabled
    panel._parameterNode.outputSegmentation = node = newSegmentationFor(volume, "result")
    assert panel.ui.segmentEditorButton.enabled
    calls = []
    editor = types.SimpleNamespace(
        setSegmentationNode=lambda given: calls.append(("segmentation", given)),
        setSourceVolumeNode=lambda given: calls.append(("volume", given)),
    )
    editorModule = types.SimpleNamespace(
        widgetRepresentation=lambda: types.SimpleNamespace(self=lambda: types.SimpleNamespace(editor=editor))
    )
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: calls.append(("module", name)))
    monkeypatch.setattr(slicer.modules, "segmenteditor", editorModule, raising=False)
    panel.ui.segmentEditorButton.click()
    assert calls == [("module", "SegmentEditor"), ("segmentation", node), ("volume", volume)]


def test_nothing_heavy_is_imported_with_the_module(host) -> None:
    code = (
        "import sys; sys.path[:0] = [r'{}', r'{}']; import slicerhost; host = slicerhost.start(qt=True);"
        "host.load_module(r'{}').widgetRepresentation();"
        "print([name for name in ('torch', 'monai', 'scipy', 'SimpleITK') if name in sys.modules])"
    ).format(MODULE.parent, Path(__file__).parents[2] / "host", MODULE)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert result.stdout.strip().splitlines()[-1] == "[]", result.stdout + result.stderr


def test_a_file_chooser_that_was_answered_is_gone(host) -> None:
    window = qt.QWidget()
    qt.QTimer.singleShot(0, lambda: QtWidgets.QApplication.activeModalWidget().reject())
    assert csvPath(window) == ""
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete.value)
    assert window.findChildren(QtWidgets.QFileDialog) == []
