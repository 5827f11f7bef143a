"""What is installed and set on this computer: the set-up section, the settings, and what a missing worker says."""

import importlib.metadata
import os
from pathlib import Path

import pytest
import qt
import slicer
from PySide6 import QtTest

from mednextseg.machine import HOME_VARIABLE
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Setup.Dependencies import Installer, installedVersions
from MedNeXtSegmentLib.Setup.SettingsPanel import SettingsPanel
from panel_tools import MODULE, addVolume
from panel_without_worker import choose


def test_what_is_missing_is_installed_by_the_button_alone_and_numpy_is_kept(tmp_path: Path) -> None:
    calls, torchAsked = [], []
    requirements = {"torch": ">=2.4", "no-such-package-a": ">=1.0", "no-such-package-b": ">=2"}

    def record(arguments: list[str]) -> None:
        constraints = Path(arguments[arguments.index("--constraint") + 1]).read_text(encoding="utf-8")
        calls.append((arguments, constraints))

    installer = Installer(record, lambda: torchAsked.append(1), requirements)
    assert installer.missing() == ["no-such-package-a", "no-such-package-b"]
    installer.installMissing()
    (arguments, constraints), *_ = calls
    assert arguments[-2:] == ["no-such-package-a>=1.0", "no-such-package-b>=2"]
    assert f"numpy=={importlib.metadata.version('numpy')}" in constraints and "SimpleITK==" in constraints
    assert torchAsked == []  # it is installed
    with pytest.raises(ValueError, match="no wheel files"):
        installer.installMissing(tmp_path)
    (tmp_path / "a.whl").touch()
    installer.installMissing(tmp_path)
    assert calls[-1][0][:3] == ["--no-index", "--find-links", str(tmp_path)]


def test_torch_comes_from_the_pytorch_extension_or_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from MedNeXtSegmentLib.Setup import Dependencies

    monkeypatch.setattr(Dependencies, "installedVersions", dict.fromkeys)
    calls = []
    with pytest.raises(RuntimeError, match="declined"):
        Installer(calls.append, lambda: None, {"torch": ">=2.4"}).installMissing()
    with pytest.raises(RuntimeError, match="PyTorch extension"):
        Installer(calls.append, Dependencies.installTorchWithExtension, {"torch": ">=2.4"}).installMissing()
    assert calls == []
    (tmp_path / "torch.whl").touch()
    Installer(calls.append, lambda: None, {"torch": ">=2.4"}).installMissing(tmp_path)
    assert calls[0][-1] == "torch>=2.4"


def test_the_set_up_section_opens_where_something_is_missing(widget, panel) -> None:
    setup = widget.panel.setup
    assert setup.ui.setUpSection.text == "Set-up: ready" and not setup.ui.installButton.enabled
    choose(panel, addVolume())
    setup._installer.requirements = {"torch": ">=2.4", "no-such-package": ">=1"}
    setup.update()
    panel.update()
    assert setup.ui.installButton.enabled and "no-such-package" in setup.ui.setUpStatusLabel.text
    assert not panel.ui.applyButton.enabled and "no-such-package" in panel.ui.applyButton.toolTip
    table = setup.ui.packagesTable
    assert [table.item(row, 1).text() for row in range(2)] == [installedVersions({"torch": ""})["torch"], "missing"]


def test_who_computes_stands_right_below_the_folded_section(widget, host) -> None:
    ui = widget.panel.setup.ui
    assert ui.setUpSection.collapsed
    host.process_events()
    section, line = ui.setUpSection.geometry, ui.computesLabel.geometry
    assert (
        section.height() - ui.setUpSection.collapsedHeight < 1.5 * line.height()
        and line.top() - section.bottom() < line.height()
    )


def test_settings_belong_to_the_machine(widget, tmp_path: Path) -> None:
    page = SettingsPanel(slicer.util.loadUI(widget.resourcePath("UI/Settings.ui")))
    page.ui.homeEdit.setCurrentPath(str(tmp_path))
    page.ui.workerPythonEdit.setCurrentPath("/opt/python/bin/python3")
    page.ui.deviceEdit.setText("cpu")
    assert os.environ[HOME_VARIABLE] == str(tmp_path)
    assert Settings.workerProgram() == "/opt/python/bin/python3"
    assert Settings.workerEnvironment()[HOME_VARIABLE] == str(tmp_path)
    slicer.mrmlScene.Clear(False)
    assert widget.panel.segment._parameterNode.device == "cpu"
    page.ui.deviceEdit.setText("")
    assert Settings.defaultDevice() == "auto"


def test_an_emptied_path_resets_the_setting_and_the_environment(widget, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "/before")
    page = SettingsPanel(slicer.util.loadUI(widget.resourcePath("UI/Settings.ui")))
    for edit, key in ((page.ui.homeEdit, Settings.HOME_KEY), (page.ui.workerPythonEdit, Settings.WORKER_PYTHON_KEY)):
        edit.setCurrentPath(str(tmp_path))
        edit.setCurrentPath(str(tmp_path / "other"))
        assert Settings.read(key) == str(tmp_path / "other")
        edit.setCurrentPath("")
        assert Settings.read(key) == ""
    assert os.environ[HOME_VARIABLE] == "/before"
    monkeypatch.delenv(HOME_VARIABLE)
    page.ui.homeEdit.setCurrentPath(str(tmp_path))
    page.ui.homeEdit.setCurrentPath("")
    assert HOME_VARIABLE not in os.environ


def test_a_typed_path_is_written_when_it_is_finished(widget, host, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE)
    pageWidget = slicer.util.loadUI(widget.resourcePath("UI/Settings.ui"))
    page = SettingsPanel(pageWidget)
    pageWidget.show()
    pageWidget.activateWindow()
    line = page.ui.homeEdit.findChildren(qt.QLineEdit)[0]
    line.setFocus()
    host.wait_until(lambda: line.focus)
    QtTest.QTest.keyClicks(line, str(tmp_path))
    assert Settings.read(Settings.HOME_KEY) == "" and HOME_VARIABLE not in os.environ
    QtTest.QTest.keyClick(line, qt.Qt.Key_Return)
    assert Settings.read(Settings.HOME_KEY) == os.environ[HOME_VARIABLE] == str(tmp_path)


def test_a_new_scene_begins_with_the_device_of_the_settings(widget) -> None:
    Settings.write(Settings.DEVICE_KEY, "cpu")
    slicer.mrmlScene.Clear(False)
    widget.initializeParameterNode()
    panel = widget.panel.segment
    assert panel._parameterNode.device == "cpu"


def test_a_worker_python_that_is_missing_is_one_sentence(host, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(library))
    Settings.write(Settings.WORKER_PYTHON_KEY, "/no/such/python")
    widget = host.load_module(str(MODULE)).widgetRepresentation().self()
    panel = widget.panel.segment
    panel.enter()
    choose(panel, addVolume())
    panel.ui.applyButton.click()
    host.wait_until(lambda: panel.run is None, 60)
    qt.QSettings().clear()
    assert "could not be started" in panel.ui.statusLabel.text and "/no/such/python" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.enabled and panel.ui.applyButton.text == "Apply"
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
