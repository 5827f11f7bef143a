"""From volume nodes to segments, on the real scene, with a real network in this process."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from scipy.spatial.transform import Rotation
from tiny_models import tiny_mednext, write_package
from vtk.util.numpy_support import vtk_to_numpy

from mednextseg.machine import HOME_VARIABLE
from mednextseg.models.model_card import card_from_dict, read_card, write_card
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Segmentations import setSegmentMask
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.InProcessEngine import InProcessEngine, segmentInProcess
from MedNeXtSegmentLib.Segment.SegmentEngine import RunFailure
from MedNeXtSegmentLib.Segment.SegmentLogic import REPORT_ATTRIBUTE

MODULE = Path(__file__).parents[3] / "MedNeXtSegment" / "MedNeXtSegment.py"
LEFT_CODE = {"category": ["SCT", "123037004", "Anatomical Structure"], "type": ["SCT", "5366008", "Hippocampus"]}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model library with a tiny model of one channel, and one of two channels."""
    home = tmp_path_factory.mktemp("home")
    codes = [
        {"value": 1, "name": "left", "color": [230, 90, 70], "terminology": LEFT_CODE},
        {"value": 2, "name": "right", "color": [70, 140, 220]},
    ]
    folder = write_package(home / "models" / "tiny", tiny_mednext(), ("left", "right"))
    card = read_card(folder).to_dict()
    write_card(card_from_dict({**card, "labels": codes}), folder)
    channels = [{"name": n, "modality": "MR", "normalization": {"scheme": "zscore"}} for n in ("T1", "FLAIR")]
    write_package(home / "models" / "two", tiny_mednext(in_channels=2), ("left", "right"), channels=channels)
    return home


@pytest.fixture
def logic(host, library: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(HOME_VARIABLE, str(library))
    host.load_module(str(MODULE))
    import MedNeXtSegment

    logic = MedNeXtSegment.MedNeXtSegmentLogic(InProcessEngine())
    yield logic
    logic.close()


def rotation(angles: tuple[float, float, float], offset=(0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = offset
    return matrix


def volumeNode(name: str = "MR", seed: int = 0, shape=(14, 18, 22)):
    voxels = np.random.default_rng(seed).normal(100, 20, shape)
    matrix = rotation((0, 0, 0), (5, -60, 30)) @ np.diag([1.2, 0.9, 1.5, 1.0])
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=matrix, name=name)


def moveBy(node, matrix: np.ndarray) -> None:
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


def voxelsOf(segmentationNode, name: str, volume) -> np.ndarray:
    segmentId = segmentationNode.GetSegmentation().GetSegmentIdBySegmentName(name)
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volume) > 0


def segmentNames(segmentationNode) -> list[str]:
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def engineResult(volume, **settings) -> np.ndarray:
    array, geometry = arrayAndGeometryFromVolume(volume)
    return segmentInProcess(array, geometry, "tiny", settings.get("region"), settings.get("labels"), None, "cpu")[0]


@pytest.mark.parametrize("matrix", [None, rotation((15, 25, -40), (3, 4, 5))], ids=["world", "rotated parent"])
def test_the_segments_are_the_engines_labels_where_the_volume_is(logic, matrix) -> None:
    volume = volumeNode()
    if matrix is not None:
        moveBy(volume, matrix)
    before = slicer.util.arrayFromVolume(volume).copy()
    node = logic.segment(volume, model="tiny")
    expected = engineResult(volume)
    assert 0.02 < (expected > 0).mean() < 0.98
    for value, name in enumerate(("left", "right"), start=1):
        assert np.array_equal(voxelsOf(node, name, volume), expected == value)
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    assert np.array_equal(slicer.util.arrayFromVolume(volume), before)


def test_a_volume_moved_by_a_transform_during_the_run_takes_its_segments_along(logic) -> None:
    volume = volumeNode()
    moveBy(volume, np.eye(4))
    moved = rotation((0, 0, 30), (10, 0, 0))
    expected = engineResult(volume)

    def move(_progress) -> None:
        volume.GetParentTransformNode().SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))

    node = logic.segment(volume, model="tiny", progressCallback=move)
    assert np.array_equal(voxelsOf(node, "left", volume), expected == 1)


def test_geometry_codes_colors_and_place_in_the_hierarchy_are_set(logic) -> None:
    volume = volumeNode()
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), patient)
    node = logic.segment(volume, model="tiny")
    left = node.GetSegmentation().GetSegment(node.GetSegmentation().GetSegmentIdBySegmentName("left"))
    assert "SCT^5366008^Hippocampus" in left.GetTerminology()
    assert np.allclose(left.GetColor(), np.array([230, 90, 70]) / 255)
    assert node.GetNodeReferenceID("referenceImageGeometryRef") == volume.GetID()
    assert node.GetDisplayNode() is not None
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == patient
    assert '"model_id": "tiny"' in node.GetAttribute(REPORT_ATTRIBUTE)


def test_other_segments_stay_and_one_undo_takes_the_run_back(logic) -> None:
    volume = volumeNode()
    _, geometry = arrayAndGeometryFromVolume(volume)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    mine = np.zeros(geometry.shape_kji, bool)
    mine[2:9, 3:12, 4:15] = True
    handId = segmentation.GetSegmentation().AddEmptySegment("hand", "by hand")
    setSegmentMask(mine, geometry.ijk_to_ras, segmentation, handId)
    for _ in range(2):  # the second run replaces the first one's segments
        assert logic.segment(volume, model="tiny", segmentationNode=segmentation) is segmentation
    assert segmentNames(segmentation) == ["by hand", "left", "right"]
    assert np.array_equal(voxelsOf(segmentation, "by hand", volume), mine)
    assert np.array_equal(voxelsOf(segmentation, "left", volume), engineResult(volume) == 1)
    logic.undo(segmentation)
    assert segmentNames(segmentation) == ["by hand", "left", "right"]
    logic.undo(segmentation)
    assert segmentNames(segmentation) == ["by hand"]
    assert np.array_equal(voxelsOf(segmentation, "by hand", volume), mine)
    logic.redo(segmentation)
    assert segmentNames(segmentation) == ["by hand", "left", "right"]


def test_a_rotated_region_limits_the_result(logic) -> None:
    volume = volumeNode()
    _, geometry = arrayAndGeometryFromVolume(volume)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    roi.SetSize(14, 9, 12)
    center = geometry.ras_from_ijk(np.array(geometry.shape_ijk) / 2)
    roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(rotation((0, 0, 35), center)))
    node = logic.segment(volume, model="tiny", roiNode=roi)
    region = regionFromROINode(roi)
    inside = region.mask(geometry)
    labeled = voxelsOf(node, "left", volume) | voxelsOf(node, "right", volume)
    assert labeled.any() and not labeled[~inside].any()
    assert np.array_equal(voxelsOf(node, "left", volume), engineResult(volume, region=region) == 1)


def test_only_the_named_labels_are_written(logic) -> None:
    volume = volumeNode()
    node = logic.segment(volume, model="tiny", labels=["right"])
    assert segmentNames(node) == ["right"]
    assert np.array_equal(voxelsOf(node, "right", volume), engineResult(volume) == 2)


def test_two_channels_on_different_grids_meet_on_the_first_one(logic) -> None:
    t1, flair = volumeNode("T1"), volumeNode("FLAIR", seed=1, shape=(14, 18, 25))
    node = logic.segment([t1, flair], model="two")
    assert voxelsOf(node, "left", t1).shape == (14, 18, 22)
    assert segmentNames(node) == ["left", "right"]


def badVolume(kind: str):
    if kind == "color":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
        image = vtk.vtkImageData()
        image.SetDimensions(4, 4, 4)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node.SetAndObserveImageData(image)
    elif kind == "slice":
        node = volumeNode(shape=(1, 20, 20))
    elif kind == "empty":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    elif kind == "labelmap":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    else:
        node = volumeNode()
        warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
        node.SetAndObserveTransformNodeID(warp.GetID())
    return node


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("color", "scalar CT or MR volume"),
        ("slice", "load the whole series"),
        ("empty", "has no voxels"),
        ("labelmap", "scalar CT or MR volume"),
        ("warped", "non-linear transform 'warp'; harden"),
    ],
)
def test_a_volume_that_cannot_be_segmented_gets_one_sentence(logic, kind: str, sentence: str) -> None:
    volume = badVolume(kind)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(ValueError, match=sentence):
        logic.segment(volume, model="tiny")
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert logic.autoSegment.runs == []


def test_wrong_names_are_answered_by_the_names_there_are(logic) -> None:
    volume = volumeNode()
    with pytest.raises(ValueError, match=r"no model 'tinny'; installed: .*tiny"):
        logic.segment(volume, model="tinny")
    with pytest.raises(ValueError, match="no label 'middle'; it has: left, right"):
        logic.segment(volume, model="tiny", labels=["middle"])
    with pytest.raises(ValueError, match=r"needs 2 volume\(s\) \(T1, FLAIR\), got 1"):
        logic.segment(volume, model="two")
    with pytest.raises(ValueError, match="at least one"):
        logic.segment(volume, model="tiny", labels=[])


def test_a_region_beside_the_volume_is_refused_before_anything_starts(logic) -> None:
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    roi.SetSize(5, 5, 5)
    roi.SetCenter(500, 0, 0)
    with pytest.raises(ValueError, match="outside the volume"):
        logic.segment(volumeNode(), model="tiny", roiNode=roi)


def test_voxels_that_are_not_finite_are_an_error_of_the_run_and_leave_no_node(logic) -> None:
    volume = volumeNode()
    slicer.util.arrayFromVolume(volume)[3, 4, 5] = np.nan
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RunFailure, match="NaN") as caught:
        logic.segment(volume, model="tiny")
    assert caught.value.code == "invalid_input"
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


@pytest.mark.parametrize("ending", ["cancel", "remove volume", "remove output", "close scene"])
def test_a_run_that_ends_early_writes_nothing(logic, ending: str) -> None:
    volume = volumeNode()
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    finished = []

    def endIt(progress) -> None:
        if ending == "close scene":
            slicer.mrmlScene.Clear(False)
        elif ending == "cancel":
            logic.autoSegment.runs[0].cancel()
        else:
            slicer.mrmlScene.RemoveNode(volume if ending == "remove volume" else output)

    run = logic.segment(
        volume,
        model="tiny",
        segmentationNode=output,
        waitForCompletion=False,
        progressCallback=endIt,
        finishedCallback=finished.append,
    )
    assert finished == [run] and run.isFinished
    assert run.error.code == "cancelled"
    assert output.GetSegmentation().GetNumberOfSegments() == 0
    assert logic.autoSegment.runs == []


def test_a_batch_goes_on_after_a_case_that_fails(logic) -> None:
    volumes = [volumeNode("a"), volumeNode("b", shape=(1, 20, 20)), volumeNode("c", seed=2)]
    batch = logic.segmentBatch(volumes, model="tiny")
    assert batch.isFinished
    assert [node is None for node in batch.segmentationNodes] == [False, True, False]
    assert "single slice" in str(batch.errors[1]) and batch.errors[0] is None
    assert np.array_equal(voxelsOf(batch.segmentationNodes[2], "left", volumes[2]), engineResult(volumes[2]) == 1)


def test_a_sequence_becomes_a_sequence_of_segmentations(logic) -> None:
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    frames = [volumeNode(f"frame {n}", seed=n) for n in range(3)]
    expected = [engineResult(frame) == 1 for frame in frames]
    for n, frame in enumerate(frames):
        sequence.SetDataNodeAtValue(frame, str(40 * n))
    nodes = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")}
    batch = logic.segmentSequence(sequence, model="tiny")
    output = batch.outputSequenceNode
    assert (output.GetIndexName(), output.GetIndexUnit(), output.GetNumberOfDataNodes()) == ("time", "ms", 3)
    for n in range(3):
        frame = output.GetNthDataNode(n)
        assert output.GetNthIndexValue(n) == str(40 * n)
        segmentId = frame.GetSegmentation().GetSegmentIdBySegmentName("left")
        labelmap = slicer.vtkOrientedImageData()
        frame.GetBinaryLabelmapRepresentation(segmentId, labelmap)
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
        assert int((voxels > 0).sum()) == int(expected[n].sum())
    assert {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")} == nodes


def test_a_warning_says_what_is_unlike_the_models_training(logic) -> None:
    volume = volumeNode()
    card = next(card for card in logic.models() if card.id == "tiny")
    assert logic.autoSegment.inputWarnings([volume], card) == []
    slicer.util.arrayFromVolume(volume)[:] -= 1100
    volume.SetSpacing(6, 6, 6)
    warnings = logic.autoSegment.inputWarnings([volume], card)
    assert len(warnings) == 2 and "spacing" in warnings[0] and "CT" in warnings[1]
