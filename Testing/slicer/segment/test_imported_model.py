"""A network that somebody brought runs from Slicer's Python console, on a volume node."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from monai_bundles import ARGMAX, INVERT, write_bundle
from nnunet_folders import v2_folder

from mednextseg import load_model, segment
from mednextseg.models.importers import import_model
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine

MODULE = Path(__file__).parents[3] / "MedNeXtSegment" / "MedNeXtSegment.py"
LABELS = {"background": 0, "liver": 1, "left kidney": 2}
TUMOR = ("tumor core", "whole tumor", "enhancing tumor")


@pytest.fixture
def logic(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    host.load_module(str(MODULE))
    import MedNeXtSegment

    logic = MedNeXtSegment.MedNeXtSegmentLogic(InProcessEngine())
    yield logic
    logic.close()


def test_an_imported_network_segments_a_node_with_its_labels_and_codes(logic, tmp_path: Path) -> None:
    model = import_model(v2_folder(tmp_path / "results", LABELS, 3)).card.id
    voxels = np.random.default_rng(0).normal(100, 20, (16, 18, 20)).astype(np.float32)
    volume = slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.diag([1.1, 0.9, 1.0, 1.0]), name="MR")
    node = logic.segment(volume, model=model, waitForCompletion=True)
    expected = segment(*arrayAndGeometryFromVolume(volume), load_model(model), device="cpu")[0]
    assert expected.any()
    segmentation = node.GetSegmentation()
    segmentIds = list(segmentation.GetSegmentIDs())
    assert [segmentation.GetSegment(segmentId).GetName() for segmentId in segmentIds] == ["liver", "left kidney"]
    for value, segmentId in enumerate(segmentIds, start=1):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume) > 0
        assert np.array_equal(mask, expected == value)
        assert ("10200004", "64033007")[value - 1] in segmentation.GetSegment(segmentId).GetTerminology()


def test_outputs_of_a_monai_bundle_that_overlap_become_overlapping_segments_and_undo_takes_them_back(
    logic, tmp_path: Path
) -> None:
    sigmoid = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
    after = (sigmoid, INVERT, {**ARGMAX, "argmax": False, "threshold": 0.5})
    model = import_model(write_bundle(tmp_path / "brats", names=TUMOR, after=after)).card.id
    voxels = np.random.default_rng(0).normal(40, 90, (16, 18, 20)).astype(np.float32)
    volume = slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.diag([2.1, 2.4, 3.0, 1.0]), name="CT")
    expected = segment(*arrayAndGeometryFromVolume(volume), load_model(model), device="cpu")[0] > 0
    assert expected.any(axis=(1, 2, 3)).all() and (expected.sum(axis=0) > 1).any()
    node = logic.segment(volume, model=model)
    again = logic.segment(volume, model=model, segmentationNode=node, labels=list(TUMOR[1:]))
    assert again is node and segmentsOf(node) == list(TUMOR)
    for name, mask in zip(TUMOR, expected, strict=True):
        segmentId = node.GetSegmentation().GetSegmentIdBySegmentName(name)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume) > 0
        assert np.array_equal(found, mask), name
    logic.undo(node)
    logic.undo(node)
    assert segmentsOf(node) == []


def segmentsOf(node) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetSegment(segmentId).GetName() for segmentId in segmentation.GetSegmentIDs()]
