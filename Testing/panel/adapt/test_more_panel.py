"""Section "More" of the Adapt tab: volumes to pre-train on, and pairs of images without labels, of the scene and of a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import slicer

from MedNeXtSegmentLib.Adapt.SceneCases import scenePairs

TIMEOUT_S = 300


@pytest.fixture
def panel(representation):
    """The tab, with the model "bright" chosen, for a training of one step."""
    panel = representation.self().panel.adapt
    parameters = panel._parameterNode
    parameters.adaptModelId, parameters.adaptMethod, parameters.adaptMinutes = "bright", "head", 0.01
    return panel


@pytest.fixture
def pairs(cases) -> list:
    """The volumes of the cases, and the same ones less bright."""
    made = []
    for number, (known, _segmentation) in enumerate(cases):
        array_kji = slicer.util.arrayFromVolume(known)
        made.append((known, slicer.util.addVolumeFromArray((0.9 * array_kji).astype(np.float32), name=f"New {number}")))
    return made


def choose(panel, pair: tuple) -> None:
    panel.ui.knownSelector.setCurrentNode(pair[0])
    panel.ui.newSelector.setCurrentNode(pair[1])


def add(panel, pairs: list) -> None:
    for pair in pairs:
        choose(panel, pair)
        panel.ui.addPairButton.click()


def test_pairs_of_the_scene_are_kept_and_take_the_place_of_cases(panel, pairs, cases) -> None:
    ui, parameters = panel.ui, panel._parameterNode
    assert ui.moreSection.collapsed and not ui.addPairButton.enabled and "two volumes" in ui.addPairButton.toolTip
    choose(panel, (pairs[0][0], pairs[0][0]))
    assert not ui.addPairButton.enabled and "another volume" in ui.addPairButton.toolTip
    add(panel, pairs[:1])
    assert not ui.startButton.enabled and "Add two pairs" in ui.startButton.toolTip
    assert not ui.addPairButton.enabled and "already" in ui.addPairButton.toolTip
    add(panel, pairs[1:])
    assert [[ui.pairsTable.item(row, n).text() for n in range(2)] for row in range(3)] == [
        [f"Scan {row}", f"New {row}"] for row in range(3)
    ]
    assert ui.startButton.enabled and not ui.curvesButton.enabled and "have none" in ui.curvesButton.toolTip
    assert panel.more.options() == {"registered": True} and panel.choices.options() == {"minutes": 0.01}
    assert not ui.methodSelector.enabled and not ui.lossSelector.enabled and ui.minutesSpinBox.enabled
    ui.registerPairsCheckBox.setChecked(True)
    assert panel.more.options() == {"registered": False}
    parameters.adaptUnlabeled = "somewhere"
    assert not ui.startButton.enabled and "Pre-training goes with cases" in ui.startButton.toolTip
    parameters.adaptUnlabeled = ""
    ui.pairsTable.selectRow(1)
    ui.removePairButton.click()
    assert scenePairs(parameters) == [pairs[0], pairs[2]]
    ui.modelSelector.setCurrentIndex(ui.modelSelector.findData("two"))
    assert "2 volumes of each image" in ui.startButton.toolTip
    parameters.adaptPairs = "somewhere"
    assert panel.more.pairs == "somewhere" and ui.startButton.enabled
    panel.ui.segmentationSelector.setCurrentNode(cases[0][1])
    panel.ui.addCaseButton.click()
    assert not ui.startButton.enabled and "in place of cases" in ui.startButton.toolTip


def test_pairs_of_the_scene_teach_a_model(host, panel, pairs, tmp_path: Path) -> None:
    add(panel, pairs[:2])
    panel._parameterNode.adaptFolder = str(tmp_path / "run")
    panel.ui.startButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert sorted(report["cases"]) == ["New 0", "New 1"]
    assert "not with what somebody drew" in report["explanation"] and panel.ui.gateTable.item(0, 0).text() == "Ball"


def test_volumes_without_labels_are_looked_at_first(host, panel, cases, tmp_path: Path) -> None:
    for segmentation in (segmentation for _volume, segmentation in cases):
        panel.ui.segmentationSelector.setCurrentNode(segmentation)
        panel.ui.addCaseButton.click()
    assert panel.more.options() == {}
    panel.ui.unlabeledEdit.setText(str(tmp_path / "none"))
    panel.ui.pretrainingStepsSpinBox.setValue(7)
    assert panel.more.options() == {"unlabeled": str(tmp_path / "none"), "pretraining_steps": 7}
    panel._parameterNode.adaptMethod, panel._parameterNode.adaptFolder = "all", str(tmp_path / "run")
    panel.ui.startButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert "give one with volumes to pre-train on" in panel.ui.statusLabel.text
