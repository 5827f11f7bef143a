"""What the sections of the Segment tab show and allow, without a run: no worker process is started."""

import csv
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from PySide6 import QtTest
from tiny_models import copy_with

from mednextseg.labels.label import Label
from mednextseg.machine import HOME_VARIABLE
from mednextseg.models.model_card import card_from_dict
from mednextseg.segment.recipe import SegmentRecipe
from MedNeXtSegmentLib.ParameterNode import recipeOf
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, setSegmentMask
from MedNeXtSegmentLib.Scene.Volumes import placementOf
from MedNeXtSegmentLib.Segment.ResultsTable import ResultsTable
from panel_tools import addVolume
from panel_without_worker import choose

GPU = {"id": "cuda:0", "name": "NVIDIA H200", "memory_bytes": 150_000_000_000}
SECOND_GPU = {"id": "cuda:1", "name": "NVIDIA T4", "memory_bytes": 16_000_000_000}
CPU = {"id": "cpu", "name": "Some processor (8 cores)", "memory_bytes": 32_000_000_000}


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


def test_a_model_of_a_region_is_not_run_over_a_whole_head_unless_the_user_insists(
    panel, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    button, box, parameters = panel.ui.applyButton, panel.ui.wholeVolumeCheckBox, panel._parameterNode
    source = {"model": "coarse", "labels": ["left", "right"], "margin_mm": 5}
    for name, changes in (("boxed", {"needs_region": True, "region_from": source}), ("tiny", {})):
        copy_with(library / "models" / "tiny", tmp_path / "models" / name, id=name, **changes)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    panel.reloadModels()
    choose(panel, addVolume(shape=(80, 90, 90)), "boxed")
    assert not button.enabled and not box.isHidden()
    assert "needs a region of interest" in button.toolTip and "Whole volume anyway" in button.toolTip
    assert button.toolTip.endswith("The model coarse, which would find it, is not installed.")
    assert button.toolTip in panel.ui.inputWarningLabel.text
    box.click()
    assert button.enabled and panel.job().isWhole
    parameters.roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    assert button.enabled and box.isHidden()
    parameters.roi = None
    choose(panel, addVolume(shape=(80, 90, 90), seed=1), "boxed")
    assert not button.enabled and not box.checked  # insisted on for the first one
    choose(panel, addVolume(), "boxed")
    assert button.enabled and box.isHidden()  # as small as what the model was trained on
    choose(panel, addVolume(shape=(80, 90, 90), seed=2), "boxed")
    assert not button.enabled
    copy_with(library / "models" / "tiny", tmp_path / "models" / "coarse", id="coarse")
    panel.reloadModels()
    assert button.enabled and box.isHidden()
    assert panel.ui.inputWarningLabel.text.endswith("No region is needed: coarse finds left, right.")
    choose(panel, parameters.inputVolume, "tiny")
    assert button.enabled and box.isHidden()


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


def test_models_are_found_by_other_words_for_their_segments_and_grouped_by_body_part(
    panel, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = library / "models" / "tiny"
    colors = {"color": [10, 20, 30]}
    for name, labels, part in (("organs", ("ren", "hepar"), ""), ("bone", ("left", "right"), "Foot")):
        fields = [{"value": value, "name": label, **colors} for value, label in enumerate(labels, start=1)]
        copy_with(tiny, tmp_path / "models" / name, id=name, labels=fields, body_part=part, postprocessing={})
    copy_with(tiny, tmp_path / "models" / "tiny")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    panel.reloadModels()
    panel.ui.modelSearchEdit.setText("kidney")
    assert [panel.model._modelIdAt(row) for row in range(panel.ui.modelList.count)] == ["organs"]
    panel.ui.modelSearchEdit.setText("")
    panel.ui.groupModelsCheckBox.click()
    items = [panel.ui.modelList.item(row) for row in range(panel.ui.modelList.count)]
    headings = {item.text(): row for row, item in enumerate(items) if panel.model._modelIdAt(row) is None}
    assert list(headings) == ["Head", "Abdomen", "Foot", "Other"]  # Head: a bundled model
    assert (
        panel.model._modelIdAt(headings["Abdomen"] + 1) == "organs" and panel.model._modelIdAt(headings["Foot"] + 1) == "bone"
    )
    assert not items[headings["Foot"]].flags() & qt.Qt.ItemIsSelectable
    panel.ui.groupModelsCheckBox.click()
    assert None not in [panel.model._modelIdAt(row) for row in range(panel.ui.modelList.count)]


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


def test_another_volume_keeps_the_segmentation_and_says_where_its_grid_is_another(panel) -> None:
    first, second, elsewhere = addVolume("first"), addVolume("second", seed=1), addVolume("elsewhere", shape=(14, 18, 23))
    choose(panel, first)
    panel._parameterNode.outputSegmentation = output = newSegmentationFor(first, "of the first")
    panel._parameterNode.inputVolume = second
    assert panel._parameterNode.outputSegmentation is output and panel.ui.statusLabel.text == ""
    panel._parameterNode.inputVolume = elsewhere
    assert panel._parameterNode.outputSegmentation is output
    assert panel.ui.statusLabel.text.startswith("'of the first' was made on another grid than 'elsewhere'")
    panel._parameterNode.outputSegmentation = None
    assert panel.ui.statusLabel.text == ""


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


def test_a_model_that_always_averages_mirrored_views_says_so(panel) -> None:
    choose(panel, addVolume())
    offered = panel.ui.ttaCheckBox.toolTip
    panel.advanced.update(card_from_dict({**panel.model.card.to_dict(), "tta": True}))
    assert not panel.ui.ttaCheckBox.enabled and panel.ui.ttaCheckBox.toolTip == "This model always does so."
    panel.advanced.update(panel.model.card)
    assert panel.ui.ttaCheckBox.enabled and panel.ui.ttaCheckBox.toolTip == offered


def test_the_table_is_exported_with_full_precision(widget, tmp_path: Path) -> None:
    volume = addVolume()
    node = newSegmentationFor(volume, "result")
    mask = np.zeros((14, 18, 22), bool)
    mask[2:5, 3:9, 4:7] = True
    label = Label(1, "left", (200, 20, 20))
    setSegmentMask(mask, placementOf(volume), node, node.GetSegmentation().AddEmptySegment("", "left"))
    table = ResultsTable(widget.panel.segment.ui.resultsTable)
    table.show(node, [label, Label(2, "absent", (1, 2, 3))], {})
    table.exportCsv(tmp_path / "volumes.csv")
    with open(tmp_path / "volumes.csv", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["segmentation", "segment", "volume_ml", "asymmetry_percent"]
    assert rows[1][:2] == ["result", "left"] and len(rows) == 2
    assert float(rows[1][2]) == pytest.approx(54 * 1.2 * 0.9 * 1.5 / 1000, rel=1e-6)


def test_left_and_right_are_compared_and_totals_added_up(widget, tmp_path: Path) -> None:
    volume = addVolume()
    node, table = newSegmentationFor(volume, "result"), widget.panel.segment.ui.resultsTable
    labels = [Label(n, name, (200, 20, 20)) for n, name in enumerate(("left ball", "right ball", "stem"), start=1)]
    for start, label in enumerate(labels):
        mask = np.zeros((14, 18, 22), bool)
        mask[2 : 6 - 2 * (start == 1), 3:9, 7 * start : 7 * start + 3] = True  # 72, 36 and 72 voxels
        segmentId = node.GetSegmentation().AddEmptySegment("", label.name)
        setSegmentMask(mask, placementOf(volume), node, segmentId)
    results = ResultsTable(table)
    results.show(node, labels[2:], {})
    assert table.isColumnHidden(2)
    results.show(node, labels, {"balls": ("left ball", "right ball"), "more": ("absent",)})
    assert not table.isColumnHidden(2)
    shown = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
    assert [row[0] for row in shown] == ["left ball", "right ball", "stem", "balls"]
    assert [row[2] for row in shown] == ["+66.7", "+66.7", "", ""]
    voxel_ml = 1.2 * 0.9 * 1.5 / 1000
    assert [float(row[1]) for row in shown] == pytest.approx([n * voxel_ml for n in (72, 36, 72, 108)], abs=0.006)
    results.exportCsv(tmp_path / "volumes.csv")
    with open(tmp_path / "volumes.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0]["asymmetry_percent"]) == pytest.approx(200 / 3) and rows[3]["asymmetry_percent"] == ""
    assert float(rows[3]["volume_ml"]) == pytest.approx(108 * voxel_ml, rel=1e-6)
