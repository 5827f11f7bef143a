"""From clicks to cases: what was corrected is collected, listed, learned from in another scene, and removed."""

import json
import shutil
from pathlib import Path

import pytest
import qt
import slicer

from mednextseg.cases.collected import collected_cases, collected_folder
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Scene.Segmentations import REPORT_ATTRIBUTE

TIMEOUT_S = 300


@pytest.fixture
def module(representation):
    """The module's Python widget, with no case collected and the model "bright" chosen in the Adapt tab."""
    shutil.rmtree(collected_folder(), ignore_errors=True)
    module = representation.self()
    module.panel.adapt._parameterNode.adaptModelId = "bright"
    return module


def madeBy(segmentation, model: str) -> None:
    """As a run leaves it."""
    report = {"model_id": model, "model_version": "1.0.0", "weights_sha256": ["ab"]}
    segmentation.SetAttribute(REPORT_ATTRIBUTE, json.dumps(report))


def rows(panel) -> list[tuple]:
    """(is checked, name, base, labels) of each."""
    table = panel.ui.collectedTable
    checks = [table.item(row, 0).checkState() == qt.Qt.Checked for row in range(table.rowCount)]
    return [(isOn, *(table.item(row, n).text() for n in range(3))) for row, isOn in enumerate(checks)]


def test_corrected_cases_are_collected_and_teach_a_model_in_another_scene(host, module, cases, tmp_path: Path) -> None:
    panel, refine, logic = module.panel.adapt, module.panel.refine, module.logic
    assert panel.ui.collectedTable.isHidden() and not refine.ui.collectButton.enabled
    for volume, segmentation in cases:
        madeBy(segmentation, "bright")
        segmentId = segmentation.GetSegmentation().GetNthSegmentID(0)
        session = logic.startRefinement(volume, segmentation, segmentId, prompter="random_walker")
        session.addPoint((0.0, 0.0, 8.0))
        logic.refine.endSession(session)
        parameters = refine._parameterNode
        parameters.inputVolume, parameters.outputSegmentation = volume, segmentation
        refine.ui.collectButton.click()
        assert not refine.ui.collectButton.enabled
        host.wait_until(lambda: refine.ui.collectButton.enabled, TIMEOUT_S)
        assert "Collected for adapting" in refine.tools.ui.refineStatusLabel.text
    assert sorted(rows(panel)) == [(True, f"Scan {n}", "bright", "ball") for n in range(3)]
    journal = json.loads((collected_cases()[0][0].folder / "journal_0.json").read_text())
    assert [entry["action"] for entry in journal["entries"]] == ["point"]
    slicer.mrmlScene.Clear(0)
    parameters = panel._parameterNode
    parameters.adaptModelId, parameters.adaptMethod, parameters.adaptMinutes = "bright", "head", 0.01
    parameters.adaptFolder = str(tmp_path / "run")
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    panel.ui.collectedTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
    panel.ui.startButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    checked = [case.full_name for case in panel.collected.checked]
    assert len(checked) == 2
    assert sorted(json.loads((tmp_path / "run" / "report.json").read_text())["cases"]) == sorted(checked)


def test_marks_follow_the_model_and_cases_are_removed_by_a_second_click(module, cases) -> None:
    panel, logic = module.panel.adapt, module.logic
    madeBy(cases[0][1], "bright")
    madeBy(cases[1][1], "other")
    for volume, segmentation in cases:
        logic.collectCase(volume, segmentation)
    panel.update()
    assert sorted(rows(panel))[2] == (True, "Scan 0", "bright", "ball")
    assert {(isOn, base) for isOn, _name, base, _labels in rows(panel)} == {
        (True, "bright"),
        (False, "other"),
        (False, "drawn by hand"),
    }
    assert not panel.ui.startButton.enabled and "two cases" in panel.ui.startButton.toolTip
    for row in range(3):
        panel.ui.collectedTable.item(row, 0).setCheckState(qt.Qt.Checked)
    assert panel.ui.startButton.enabled and len(panel.collected.checked) == 3
    damaged = next(case for case in logic.collectedCases() if case.name == "Scan 1")
    (damaged.folder / "case.json").write_text("{")
    panel.update()
    assert "is damaged" in panel.ui.damagedLabel.text and len(panel.collected.checked) == 2
    panel.ui.collectedTable.selectRow(2)
    panel.ui.removeCollectedButton.click()
    assert damaged.folder.exists() and panel.ui.removeCollectedButton.text == "Remove for good"
    panel.ui.removeCollectedButton.click()
    assert not damaged.folder.exists() and len(rows(panel)) == 2 and panel.ui.damagedLabel.isHidden()
    for case in logic.collectedCases():
        logic.removeCollectedCase(case)
    assert not logic.collectedCases()
    panel.update()
    assert panel.ui.collectedTable.isHidden()


def test_what_cannot_be_collected_is_said(module, cases, monkeypatch) -> None:
    logic, (volume, segmentation) = module.logic, cases[0]
    with pytest.raises(ValueError, match="Choose a segmentation"):
        logic.collectCase(volume, None)
    with pytest.raises(ValueError, match="one is missing"):
        logic.collectCase([volume, None], segmentation)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    with pytest.raises(ValueError, match="'empty' has no segments"):
        logic.collectCase(volume, empty)
    empty.GetSegmentation().AddEmptySegment("", "ball")
    with pytest.raises(RuntimeError, match="nothing is drawn in the segmentation"):
        logic.collectCase(volume, empty)
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="Cases are kept on this computer, and a server"):
        patched.setattr(Settings, "isServerChosen", lambda: True)
        logic.collectCase(volume, segmentation)
    segmentation.SetAttribute(REPORT_ATTRIBUTE, "{")
    with pytest.raises(ValueError, match="The report of 'drawn 0' is damaged"):
        logic.collectCase(volume, segmentation)
    assert not logic.collectedCases()
