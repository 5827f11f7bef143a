"""From volume nodes to segments, on the real scene, with a real network in this process."""

import numpy as np
import pytest
import slicer
from scipy.spatial.transform import Rotation
from two_balls import SHAPE, expected_labels, two_balls
from vtk.util.numpy_support import vtk_to_numpy

from mednextseg import load_model, segment
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Segmentations import setSegmentMask
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from MedNeXtSegmentLib.Segment.SegmentLogic import REPORT_ATTRIBUTE
from panel_tools import addVolume, segmentNames, voxelsOf


def rotation(angles: tuple[float, float, float], offset=(0.0, 0.0, 0.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = offset
    return matrix


def moveBy(node, matrix: np.ndarray) -> None:
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


def engineResult(volume, **settings) -> np.ndarray:
    array, geometry = arrayAndGeometryFromVolume(volume)
    return segment(array, geometry, load_model("tiny"), settings.get("region"), settings.get("labels"), device="cpu")[0]


@pytest.mark.parametrize("matrix", [None, rotation((15, 25, -40), (3, 4, 5))], ids=["world", "rotated parent"])
def test_the_segments_are_the_engines_labels_where_the_volume_is(logic, matrix) -> None:
    volume = addVolume()
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
    volume = addVolume()
    moveBy(volume, np.eye(4))
    moved = rotation((0, 0, 30), (10, 0, 0))
    expected = engineResult(volume)

    def move(_progress) -> None:
        volume.GetParentTransformNode().SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved))

    node = logic.segment(volume, model="tiny", progressCallback=move)
    assert np.array_equal(voxelsOf(node, "left", volume), expected == 1)


def test_geometry_codes_colors_and_place_in_the_hierarchy_are_set(logic) -> None:
    volume = addVolume()
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
    volume = addVolume()
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
    volume = addVolume()
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
    volume = addVolume()
    node = logic.segment(volume, model="tiny", labels=["right"])
    assert segmentNames(node) == ["right"]
    assert np.array_equal(voxelsOf(node, "right", volume), engineResult(volume) == 2)


def addTwoBalls(name: str):
    return slicer.util.addVolumeFromArray(two_balls(), ijkToRAS=np.eye(4), name=name)


def test_a_model_that_finds_its_own_regions_needs_none_in_a_batch_either(logic) -> None:
    volumes = [
        addTwoBalls("head"),
        slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.float32), name="empty"),
        addTwoBalls("next"),
    ]
    batch = logic.segmentBatch(volumes, model="fine")
    assert batch.errors[0] is None and "coarse found no left ball and no right ball" in str(batch.errors[1])
    for volume, node in zip(volumes[::2], batch.segmentationNodes[::2], strict=True):
        assert segmentNames(node) == ["left shell", "left core", "right shell", "right core"]
        for value, name in enumerate(segmentNames(node), start=1):
            assert np.array_equal(voxelsOf(node, name, volume), expected_labels(two_balls()) == value)
        assert "coarse found right ball" in node.GetAttribute(REPORT_ATTRIBUTE)
    assert segmentNames(logic.segment(volumes[0], model="fine", labels=["Core"])) == ["left core", "right core"]


def test_without_the_coarse_model_a_region_is_asked_for_and_a_region_given_holds(logic) -> None:
    volume = addTwoBalls("head")
    with pytest.raises(
        ValueError, match=r"needs a region of interest.*The model elsewhere, which would find it, is not installed"
    ):
        logic.segment(volume, model="orphan")
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    roi.SetSize(18, 18, 18)
    roi.SetCenter(44, 14, 12)
    for model in ("orphan", "fine"):
        node = logic.segment(volume, model=model, roiNode=roi)
        assert segmentNames(node) == ["Shell", "Core"]
        assert np.array_equal(voxelsOf(node, "Core", volume), expected_labels(two_balls()) == 4)


def test_two_channels_on_different_grids_meet_on_the_first_one(logic) -> None:
    t1, flair = addVolume("T1"), addVolume("FLAIR", seed=1, shape=(14, 18, 25))
    node = logic.segment([t1, flair], model="two")
    assert voxelsOf(node, "left", t1).shape == (14, 18, 22)
    assert segmentNames(node) == ["left", "right"]


def test_a_batch_goes_on_after_a_case_that_fails(logic) -> None:
    volumes = [addVolume("a"), addVolume("b", shape=(1, 20, 20)), addVolume("c", seed=2)]
    batch = logic.segmentBatch(volumes, model="tiny")
    assert batch.isFinished
    assert [node is None for node in batch.segmentationNodes] == [False, True, False]
    assert "single slice" in str(batch.errors[1]) and batch.errors[0] is None
    assert np.array_equal(voxelsOf(batch.segmentationNodes[2], "left", volumes[2]), engineResult(volumes[2]) == 1)


def test_a_sequence_becomes_a_sequence_of_segmentations(logic) -> None:
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    frames = [addVolume(f"frame {n}", seed=n) for n in range(3)]
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
