"""A network that somebody brought runs from Slicer's Python console, on a volume node."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from nnunet_folders import v2_folder

from mednextseg import load_model, segment
from mednextseg.models.importers import import_model
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine

MODULE = Path(__file__).parents[3] / "MedNeXtSegment" / "MedNeXtSegment.py"
LABELS = {"background": 0, "liver": 1, "left kidney": 2}


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
