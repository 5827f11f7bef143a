"""The Adapt tab on real nodes, with a real worker process and a tiny network."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import slicer

from mednextseg.models.tuning_choices import LOSSES, METHODS, SAMPLINGS
from MedNeXtSegmentLib.Adapt.AdaptRun import AdaptRun
from MedNeXtSegmentLib.Adapt.SceneCases import sceneCases

TIMEOUT_S = 300


@pytest.fixture
def panel(representation):
    """The tab, with the model "bright" chosen."""
    panel = representation.self().panel.adapt
    panel._parameterNode.adaptModelId = "bright"
    return panel


def add(panel, cases) -> None:
    """Choose each segmentation and click; its volume is found by itself."""
    for volume, segmentation in cases:
        panel.ui.segmentationSelector.setCurrentNode(segmentation)
        assert panel.ui.volumeSelector.currentNode() is volume
        panel.ui.addCaseButton.click()


def start(panel, folder: Path, minutes: float = 0.01) -> None:
    """Press Start; the usual budget is a few steps."""
    parameters = panel._parameterNode
    parameters.adaptFolder, parameters.adaptMethod, parameters.adaptMinutes = str(folder), "head", minutes
    assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
    panel.ui.startButton.click()


def test_models_that_can_be_adapted_are_offered_and_cases_are_kept_in_the_scene(panel, cases) -> None:
    selector = panel.ui.modelSelector
    offered = [selector.itemData(n) for n in range(selector.count)]
    assert "bright" in offered and "many" not in offered
    assert "Many: the model many has labels that may overlap and cannot be adapted" in selector.toolTip
    for button in (panel.ui.startButton, panel.ui.curvesButton):
        assert not button.enabled and "two cases" in button.toolTip
    cases[1][1].GetSegmentation().AddEmptySegment("", "lamp")
    add(panel, cases)
    table = panel.ui.casesTable
    assert [table.item(row, 2).text() for row in range(3)] == ["ball", "ball, lamp (new)", "ball"]
    assert panel.ui.startButton.enabled and not panel.ui.addCaseButton.enabled and "already" in panel.ui.addCaseButton.toolTip
    table.selectRow(1)
    panel.ui.removeCaseButton.click()
    assert sceneCases(panel._parameterNode) == [cases[0], cases[2]]
    slicer.mrmlScene.RemoveNode(cases[0][1])
    panel.update()
    assert sceneCases(panel._parameterNode) == [cases[2]] and table.rowCount == 1
    assert not panel.ui.startButton.enabled
    selector.setCurrentIndex(selector.findData("two"))
    panel._parameterNode.adaptDataset = "somewhere"
    assert panel.ui.startButton.enabled
    panel._parameterNode.adaptDataset = ""
    add(panel, cases[1:2])
    assert "2 volumes of each case" in panel.ui.startButton.toolTip


def test_every_way_to_train_is_offered_with_its_advice_where_the_model_can_learn_so(panel, cases):
    add(panel, cases)
    for selector, table, name in (
        (panel.ui.methodSelector, METHODS, "adaptMethod"),
        (panel.ui.lossSelector, LOSSES, "adaptLoss"),
        (panel.ui.samplingSelector, SAMPLINGS, "adaptSampling"),
    ):
        assert [selector.itemData(n) for n in range(selector.count)] == list(table)
        for row, choice in enumerate(table.values()):
            selector.setCurrentIndex(row)
            assert getattr(panel._parameterNode, name) == choice.name and selector.toolTip == choice.advice
            assert panel.ui.startButton.enabled, panel.ui.startButton.toolTip
        if name == "adaptMethod":
            assert (
                not panel.ui.lossSelector.enabled and not panel.ui.minutesSpinBox.enabled
            )  # of the last, which trains nothing
            assert panel.choices.options() == {"method": "settings"}
            assert set(panel._curveOptions()) == {"shots", "methods", "minutes"}
            panel._parameterNode.adaptMethod = "head"
            assert panel.ui.lossSelector.enabled and selector.currentData == "head"
    chosen = {"method": "head", "loss": list(LOSSES)[-1], "sampling": list(SAMPLINGS)[-1], "minutes": 10.0}
    assert panel.choices.options() == chosen and panel.ui.minutesSpinBox.enabled
    assert panel.ui.toleratedLossSpinBox.value == 0.01
    panel.ui.toleratedLossSpinBox.setValue(0.05)
    assert panel._parameterNode.adaptToleratedLoss == 0.05
    other = replace(panel.card, family="stunet", title="Other")
    assert panel.choices.missing(panel.card) == "" and "Other is none" in panel.choices.missing(other)


def test_cases_are_learned_while_the_scene_is_closed_and_the_model_is_installed(host, representation, panel, cases, tmp_path):
    add(panel, cases[:2])
    start(panel, tmp_path / "run")
    assert panel.ui.startButton.text == "Cancel"
    slicer.mrmlScene.Clear(0)
    assert panel.ui.casesTable.rowCount == 0 and panel.run is not None
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    outcome = json.loads((tmp_path / "run" / "report.json").read_text())
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    assert panel.ui.startButton.text == "Start" and not panel.ui.curvesLabel.isHidden()
    assert panel.ui.gateTable.item(0, 0).text() == "Ball"
    dice = outcome["rows"][0]["after"]["dice"]["mean"]
    assert panel.ui.gateTable.item(0, 2).text() == f"{dice:.3f}"
    segment = representation.self().panel.segment
    before = segment._parameterNode.modelId
    panel.ui.installButton.click()
    if not outcome["accepted"]:
        assert panel.ui.installButton.text == "Install all the same" and "holds this model back" in panel.ui.statusLabel.text
        panel.ui.installButton.click()
    host.wait_until(lambda: "is installed" in panel.ui.statusLabel.text, TIMEOUT_S)
    assert panel.ui.modelSelector.findData("bright-adapted") >= 0
    assert segment._parameterNode.modelId == ("bright-adapted" if outcome["accepted"] else before)


def test_curves_are_linked(panel, tmp_path) -> None:
    run = AdaptRun(None, tmp_path, None, None)
    run.outcome = {"page": str(tmp_path / "shots.html"), "table": "", "cells": []}
    panel._onFinished(run)
    assert (
        f'<a href="{(tmp_path / "shots.html").as_uri()}">' in panel.ui.statusLabel.text and panel.ui.verdictSection.isHidden()
    )


def test_cancel_keeps_what_was_learned(host, panel, cases, tmp_path) -> None:
    add(panel, cases)
    start(panel, tmp_path / "run", 30.0)
    host.wait_until(lambda: ": step" in panel.ui.statusLabel.text, TIMEOUT_S)
    steps = json.loads((tmp_path / "run" / "plan.json").read_text())["steps"]
    assert steps > 100 and panel.ui.stepsLabel.text == f"{steps} steps a training"
    panel.ui.startButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.startButton.text == "Start" and "Start goes on" in panel.ui.statusLabel.text
    assert (tmp_path / "run" / "part_1" / "last.pt").is_file()


def test_a_folder_of_cases_is_learned_and_what_cannot_be_read_is_said(host, panel, cases, tmp_path) -> None:
    dataset = tmp_path / "cases"
    for folder in ("imagesTr", "labelsTr"):
        (dataset / folder).mkdir(parents=True)
    panel._parameterNode.adaptDataset = str(dataset)
    start(panel, tmp_path / "none")
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert "no case with an image and a segmentation" in panel.ui.statusLabel.text
    asked = {"shots": [], "methods": ["head", "adapters", "all"], "loss": "dice-ce", "sampling": "usual", "minutes": 0.01}
    assert panel._curveOptions() == asked
    panel.ui.leaveOneOutCheckBox.setChecked(True)
    assert panel._curveOptions() == {**asked, "leave_one_out": True}
    panel.ui.curvesButton.click()
    assert (
        panel.ui.startButton.text == "Cancel"
        and not panel.ui.curvesButton.enabled
        and panel.ui.statusLabel.text == "Starting..."
    )
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert "no case with an image and a segmentation" in panel.ui.statusLabel.text and panel.ui.curvesButton.enabled
    for volume, segmentation in cases:
        slicer.util.saveNode(volume, str(dataset / "imagesTr" / f"{volume.GetName()}.nrrd"))
        slicer.util.saveNode(segmentation, str(dataset / "labelsTr" / f"{volume.GetName()}.seg.nrrd"))
    (dataset / "splits_final.json").write_text('[{"train": ["Scan 0", "Scan 1"], "val": ["Scan 2"]}]')
    start(panel, tmp_path / "run")
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    assert json.loads((tmp_path / "run" / "report.json").read_text())["cases"] == ["Scan 2"]
