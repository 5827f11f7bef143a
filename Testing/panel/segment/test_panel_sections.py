"""What the sections of the panel show and allow, without a run: no worker process is started."""

import csv
import importlib.metadata
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from PySide6 import QtTest

from mednextseg.labels.label import Label
from mednextseg.machine import HOME_VARIABLE
from mednextseg.segment.recipe import SegmentRecipe
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.ParameterNode import recipeOf
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, setSegmentMask
from MedNeXtSegmentLib.Scene.Volumes import placementOf
from MedNeXtSegmentLib.Segment.ResultsTable import ResultsTable
from MedNeXtSegmentLib.Setup.Dependencies import Installer, installedVersions
from MedNeXtSegmentLib.Setup.SettingsPanel import SettingsPanel
from panel_tools import MODULE, addVolume, writeTinyLibrary

GPU = {"id": "cuda:0", "name": "NVIDIA H200", "memory_bytes": 150_000_000_000}
SECOND_GPU = {"id": "cuda:1", "name": "NVIDIA T4", "memory_bytes": 16_000_000_000}
CPU = {"id": "cpu", "name": "Some processor (8 cores)", "memory_bytes": 32_000_000_000}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    writeTinyLibrary(home)
    return home


@pytest.fixture
def widget(host, library: Path, monkeypatch: pytest.MonkeyPatch):
    """The module's Python widget, not entered: so no worker is started."""
    monkeypatch.setenv(HOME_VARIABLE, str(library))
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.resize(480, 1150)
    representation.show()
    yield representation.self()
    qt.QSettings().clear()


@pytest.fixture
def panel(widget):
    widget.panel.segment.enter()
    return widget.panel.segment


def choose(panel, volume=None, modelId: str = "tiny") -> None:
    panel._parameterNode.inputVolume = volume
    panel._parameterNode.modelId = modelId


def test_apply_says_in_its_tooltip_what_is_missing(panel) -> None:
    button = panel.ui.applyButton
    choose(panel, None, "")
    assert not button.enabled and button.toolTip == "Choose a model."
    choose(panel, None)
    assert not button.enabled and button.toolTip == "Choose the input volume (MR)."
    choose(panel, addVolume())
    assert button.enabled
    panel.ui.selectNoneButton.click()
    assert not button.enabled and button.toolTip == "Check at least one segment."
    panel.ui.selectAllButton.click()
    assert button.enabled
    choose(panel, panel._parameterNode.inputVolume, "two")
    assert not button.enabled and "FLAIR" in button.toolTip
    choose(panel, panel._parameterNode.inputVolume, "not-here")
    assert not button.enabled and "not installed on this computer" in panel.ui.modelCardBrowser.toPlainText()


def test_the_sections_stand_in_the_order_slicer_users_know(widget, panel) -> None:
    names = ["inputsSection", "modelSection", "outputSection", "advancedSection", "applyButton", "resultsSection", "logSection"]
    tops = [getattr(panel.ui, name).property("y") for name in names]
    assert tops == sorted(tops) and len(set(tops)) == len(tops)
    assert panel.ui.advancedSection.collapsed and panel.ui.logSection.collapsed
    assert widget.panel.setup.ui.setUpSection.collapsed  # everything is installed here
    assert panel.ui.outputSegmentationSelector.noneDisplay == "Create new segmentation on Apply"


def test_models_are_found_by_title_modality_and_segment(panel) -> None:
    def found(text: str) -> list[str]:
        panel.ui.modelSearchEdit.setText(text)
        ids = [panel.model._modelIdAt(row) for row in range(panel.ui.modelList.count)]
        return [modelId for modelId in ids if modelId in ("tiny", "two")]  # the bundled models are there, too

    assert found("") == ["two", "tiny"]
    assert found("LEFT") == ["tiny"]
    assert found("flair mr") == ["two"]
    assert found("random network") == ["tiny"]
    assert found("liver") == []


def test_the_card_says_what_the_model_says_of_itself(panel) -> None:
    choose(panel)
    text = panel.ui.modelCardBrowser.toPlainText()
    for word in ("A small random network.", "MR", "left, right", "1 x 1 x 1 mm", "left 0.5", "CC0", "1.0.0"):
        assert word in text


def test_a_click_in_the_list_chooses_the_model_and_shows_its_channels(host, panel) -> None:
    choose(panel, addVolume())
    rows = range(panel.ui.modelList.count)
    item = panel.ui.modelList.item(next(row for row in rows if panel.model._modelIdAt(row) == "two"))
    panel.ui.modelList.scrollToItem(item)
    area = panel.ui.modelList.visualItemRect(item)
    QtTest.QTest.mouseClick(panel.ui.modelList.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, area.center())
    host.process_events()
    assert panel._parameterNode.modelId == "two"
    assert panel.ui.inputVolumeLabel.text == "Input T1:"
    assert not panel.ui.inputVolume2Selector.isHidden() and panel.ui.inputVolume3Selector.isHidden()
    choose(panel, panel._parameterNode.inputVolume)
    assert panel.ui.inputVolumeLabel.text == "Input volume:" and panel.ui.inputVolume2Selector.isHidden()


def test_unchecked_segments_are_not_asked_for(panel) -> None:
    choose(panel, addVolume())
    panel.ui.labelList.item(0).setCheckState(qt.Qt.Unchecked)
    assert panel._parameterNode.labelNames == "right"
    panel.ui.labelList.item(0).setCheckState(qt.Qt.Checked)
    assert panel._parameterNode.labelNames == ""


def test_warnings_are_shown_beside_the_input_and_do_not_forbid(panel) -> None:
    volume = addVolume()
    choose(panel, volume)
    assert panel.ui.inputWarningLabel.isHidden()
    volume.SetSpacing(6, 6, 6)
    slicer.util.arrayFromVolume(volume)[:] -= 1200
    volume.GetImageData().Modified()
    panel.update()
    text = panel.ui.inputWarningLabel.text
    assert "spacing" in text and "looks like CT" in text and not panel.ui.inputWarningLabel.isHidden()
    assert panel.ui.applyButton.enabled


def test_a_volume_that_cannot_be_segmented_disables_apply_with_the_sentence(panel) -> None:
    choose(panel, addVolume(shape=(1, 20, 20)))
    assert not panel.ui.applyButton.enabled
    assert "single slice" in panel.ui.applyButton.toolTip
    assert "single slice" in panel.ui.inputWarningLabel.text


def test_every_graphics_card_is_named_and_the_processor_gets_a_banner(panel) -> None:
    choose(panel, addVolume())
    panel.advanced.setDevices([GPU, SECOND_GPU, CPU])
    panel.update()
    selector = panel.ui.deviceSelector
    texts = [selector.itemText(n) for n in range(selector.count)]
    assert texts[0] == "Automatic"
    assert texts[1:3] == ["NVIDIA H200, 150 GB (cuda:0)", "NVIDIA T4, 16 GB (cuda:1)"]
    assert panel.ui.deviceBannerLabel.isHidden()
    selector.setCurrentIndex(3)
    assert panel._parameterNode.device == "cpu"
    assert "processor" in panel.ui.deviceBannerLabel.text and not panel.ui.deviceBannerLabel.isHidden()
    panel._parameterNode.device = "auto"
    panel.advanced.setDevices([CPU])
    panel.update()
    assert not panel.ui.deviceBannerLabel.isHidden()


def test_a_scene_from_another_computer_names_the_missing_device(panel) -> None:
    choose(panel, addVolume())
    panel._parameterNode.device = "cuda:3"
    panel.advanced.setDevices([CPU])
    panel.update()
    assert "no device cuda:3" in panel.ui.applyButton.toolTip and not panel.ui.applyButton.enabled
    assert panel._parameterNode.device == "cuda:3"


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


def test_another_volume_gets_a_segmentation_of_its_own(panel) -> None:
    first, second = addVolume("first"), addVolume("second")
    choose(panel, first)
    panel._parameterNode.outputSegmentation = newSegmentationFor(first, "of the first")
    panel._parameterNode.inputVolume = second
    assert panel._parameterNode.outputSegmentation is None


def test_a_new_region_begins_in_the_middle_of_the_volume(panel) -> None:
    volume = addVolume()
    choose(panel, volume)
    roi = panel.ui.roiSelector.addNode()
    assert panel._parameterNode.roi is roi
    bounds, center = np.zeros(6), np.zeros(3)
    volume.GetRASBounds(bounds)
    roi.GetCenterWorld(center)
    assert np.allclose(center, (bounds[::2] + bounds[1::2]) / 2)
    assert np.allclose(roi.GetSize(), (bounds[1::2] - bounds[::2]) / 2)


def test_the_model_decides_on_overlap_and_clean_up_until_the_user_does(panel) -> None:
    choose(panel, addVolume())
    assert not panel.ui.overlapSlider.enabled and not panel.ui.keepLargestCheckBox.enabled
    assert set(recipeOf(panel._parameterNode, ["left", "right"])) == {"tta"}
    panel.ui.useCardOverlapCheckBox.setChecked(False)
    panel.ui.useCardCleanUpCheckBox.setChecked(False)
    assert panel.ui.overlapSlider.enabled and panel.ui.keepLargestCheckBox.enabled
    recipe = SegmentRecipe.from_dict(recipeOf(panel._parameterNode, ["left", "right"]))
    assert recipe.overlap == 0.5 and recipe.component_rules == () and set(recipe.postprocessing) == {"left", "right"}
    assert panel.ui.ttaCheckBox.enabled and not panel.ui.ensembleCheckBox.enabled


def test_the_table_is_exported_with_full_precision(widget, tmp_path: Path) -> None:
    volume = addVolume()
    node = newSegmentationFor(volume, "result")
    mask = np.zeros((14, 18, 22), bool)
    mask[2:5, 3:9, 4:7] = True
    label = Label(1, "left", (200, 20, 20))
    setSegmentMask(mask, placementOf(volume), node, node.GetSegmentation().AddEmptySegment("", "left"))
    table = ResultsTable(widget.panel.segment.ui.resultsTable)
    table.show(node, [label, Label(2, "absent", (1, 2, 3))])
    table.exportCsv(tmp_path / "volumes.csv")
    with open(tmp_path / "volumes.csv", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["segmentation", "segment", "volume_ml"]
    assert rows[1][:2] == ["result", "left"] and len(rows) == 2
    assert float(rows[1][2]) == pytest.approx(54 * 1.2 * 0.9 * 1.5 / 1000, rel=1e-6)


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


def test_a_new_scene_begins_with_the_device_of_the_settings(widget) -> None:
    Settings.write(Settings.DEVICE_KEY, "cpu")
    slicer.mrmlScene.Clear(False)
    widget.initializeParameterNode()
    panel = widget.panel.segment
    assert panel._parameterNode.device == "cpu"


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
    widget.onReload()
    reloaded = slicer.modules.mednextsegment.widgetRepresentation().self()
    newPanel = reloaded.panel.segment
    assert reloaded is not widget and type(newPanel) is not oldClass
    assert newPanel._parameterNode.inputVolume.GetName() == "kept" and newPanel.ui.ttaCheckBox.checked
    newPanel.enter()
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


def test_nothing_heavy_is_imported_with_the_module(host) -> None:
    code = (
        "import sys; sys.path[:0] = [r'{}', r'{}']; import slicerhost; host = slicerhost.start(qt=True);"
        "host.load_module(r'{}').widgetRepresentation();"
        "print([name for name in ('torch', 'monai', 'scipy', 'SimpleITK') if name in sys.modules])"
    ).format(MODULE.parent, Path(__file__).parents[2] / "host", MODULE)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert result.stdout.strip().splitlines()[-1] == "[]", result.stdout + result.stderr
