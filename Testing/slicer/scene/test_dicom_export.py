"""DICOM segmentations from the scene: what is said where the extension that writes them, or the DICOM source, is missing.

Quantitative Reporting is no part of the test host; a class with its exporter's signature stands in for what it does with a file.
"""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import slicer

from MedNeXtSegmentLib.ModuleLogic import MedNeXtSegmentLogic
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine


@pytest.fixture
def segmentationNode(host):
    volume = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), name="CT")
    return newSegmentationFor(volume, "segments")


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> dict:
    """Registered as Quantitative Reporting registers itself; the dict says what to do and what was asked."""
    seen: dict = {"error": None, "content": b"DICM"}

    class DICOMSegmentationExporter:
        def __init__(self, segmentationNode):
            seen["node"], seen["cleaned"] = segmentationNode, False

        def export(self, outputDirectory, segFileName, metadata, segmentIDs=None, skipEmpty=False):
            if seen["error"]:
                raise seen["error"]
            Path(outputDirectory, segFileName).write_bytes(seen["content"])
            seen["metadata"] = metadata

        def cleanup(self):
            seen["cleaned"] = True

    module = types.ModuleType("DICOMSegmentationPlugin")
    plugin = type("DICOMSegmentationPluginClass", (), {"__module__": module.__name__})
    module.DICOMSegmentationExporter = DICOMSegmentationExporter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {"DICOMSegmentationPlugin": plugin}, raising=False)
    return seen


def loadedFromDicom(segmentationNode) -> None:
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    segmentationNode.GetNodeReference(role).SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")


def test_a_missing_extension_and_a_source_that_is_no_dicom_are_told(segmentationNode, tmp_path: Path) -> None:
    logic = MedNeXtSegmentLogic(InProcessEngine())
    with pytest.raises(ValueError, match="needs the extension Quantitative Reporting; install it"):
        logic.exportDicomSeg(segmentationNode, tmp_path / "out.dcm")
    assert list(tmp_path.iterdir()) == []


def test_the_extension_writes_the_file_whole_or_not_at_all(segmentationNode, extension: dict, tmp_path: Path) -> None:
    logic = MedNeXtSegmentLogic(InProcessEngine())
    with pytest.raises(ValueError, match="lies on no volume that was loaded by the DICOM module"):
        logic.exportDicomSeg(segmentationNode, tmp_path / "out.dcm")
    loadedFromDicom(segmentationNode)
    logic.exportDicomSeg(segmentationNode, tmp_path / "out.dcm")
    assert [file.name for file in tmp_path.iterdir()] == ["out.dcm"] and extension["node"] is segmentationNode
    extension["error"] = RuntimeError("Completed with errors:\n\nno such series")
    with pytest.raises(ValueError, match="no such series") as refused:
        logic.exportDicomSeg(segmentationNode, tmp_path / "out.dcm")
    assert "\n" not in str(refused.value) and extension["cleaned"]
    assert (tmp_path / "out.dcm").read_bytes() == b"DICM"
