"""Nodes and arrays agree on where everything lies: parent transforms, ROIs, segments and their codes."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import read_segmentation, write_segmentation
from MedNeXtSegmentLib.Scene.Regions import regionFromROINode
from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, writeLabelsToSegmentation
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

HIPPOCAMPUS = {"category": ("SCT", "123037004", "Anatomical Structure"), "type": ("SCT", "5366008", "Hippocampus")}
LABELS = [Label(1, "head", (230, 90, 70), HIPPOCAMPUS), Label(2, "tail", (70, 140, 220), HIPPOCAMPUS)]


def someVolume(name: str = "MR", shape=(10, 12, 14)):
    rng = np.random.default_rng(0)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (10, -20, 30), degrees=True).as_matrix() * (0.8, 1.1, 2.0)
    matrix[:3, 3] = (5, -60, 30)
    return slicer.util.addVolumeFromArray(rng.normal(size=shape), ijkToRAS=matrix, name=name)


def transformNode(matrix: np.ndarray, name: str = "moved"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def rigid(angles=(15, 25, -40), offset=(3, 4, 5)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = offset
    return matrix


def test_a_volumes_world_place_includes_nested_parent_transforms(host) -> None:
    volume = someVolume()
    outer, inner = transformNode(rigid()), transformNode(rigid((5, 0, 90), (-20, 0, 7)))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    array, geometry = arrayAndGeometryFromVolume(volume)
    corner = [9.0, 11.0, 13.0]
    local = np.array(slicer.util.arrayFromVTKMatrix(matrixOf(volume))) @ [13.0, 11.0, 9.0, 1.0]
    world = [0.0, 0.0, 0.0]
    volume.TransformPointToWorld(local[:3], world)
    assert np.allclose(geometry.ras_from_ijk(np.array(corner[::-1])), world, atol=1e-6)
    assert not array.flags.writeable
    assert np.array_equal(array, slicer.util.arrayFromVolume(volume))


def matrixOf(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_a_non_linear_transform_is_refused_with_the_way_out(host) -> None:
    volume = someVolume()
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for p in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)):
        points.InsertNextPoint(p)
    moved = vtk.vtkPoints()
    moved.DeepCopy(points)
    moved.SetPoint(0, 3, 3, 3)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    spline.SetBasisToR()
    warp.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(ValueError, match=r"non-linear transform 'warp'; harden"):
        arrayAndGeometryFromVolume(volume)


def test_a_color_volume_is_refused(host) -> None:
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    volume.SetAndObserveImageData(image)
    with pytest.raises(ValueError, match="3 values a voxel"):
        arrayAndGeometryFromVolume(volume)


def test_an_empty_volume_is_refused(host) -> None:
    with pytest.raises(ValueError, match="has no voxels"):
        arrayAndGeometryFromVolume(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))


def test_a_rotated_roi_under_a_transform_becomes_the_same_box(host) -> None:
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetSize(10, 20, 30)
    roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(rigid((0, 0, 30), (7, 8, 9))))
    roi.SetAndObserveTransformNodeID(transformNode(rigid()).GetID())
    region = regionFromROINode(roi)
    assert np.allclose(region.box_to_ras, rigid() @ rigid((0, 0, 30), (7, 8, 9)))
    assert region.bounds_mm == (-5, 5, -10, 10, -15, 15)


@pytest.mark.parametrize("segmentationMoved", [False, True])
def test_labels_land_where_they_belong_in_the_world(host, segmentationMoved: bool) -> None:
    volume = someVolume()
    volume.SetAndObserveTransformNodeID(transformNode(rigid()).GetID())
    _, geometry = arrayAndGeometryFromVolume(volume)
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[2:6, 3:8, 4:7], labelmap[6:8, 3:8, 4:7] = 1, 2
    segmentation = newSegmentationFor(volume, "result")
    if segmentationMoved:
        segmentation.SetAndObserveTransformNodeID(transformNode(rigid((0, 45, 0)), "other").GetID())
    ids = writeLabelsToSegmentation(labelmap, geometry, segmentation, LABELS)
    for value, segmentId in enumerate(ids, start=1):
        center = np.array(segmentation.GetSegmentCenter(segmentId))
        world = [0.0, 0.0, 0.0]
        segmentation.TransformPointToWorld(center, world)
        expected = geometry.ras_from_ijk(np.argwhere(labelmap == value)[:, ::-1]).mean(axis=0)
        assert np.linalg.norm(np.array(world) - expected) < 1.5
        if not segmentationMoved:
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, volume)
            assert np.array_equal(mask > 0, labelmap == value)


def test_names_colors_and_codes_reach_the_segments(host) -> None:
    volume = someVolume()
    _, geometry = arrayAndGeometryFromVolume(volume)
    segmentation = newSegmentationFor(volume, "result")
    ids = writeLabelsToSegmentation(np.ones(geometry.shape_kji, np.uint8), geometry, segmentation, LABELS)
    head = segmentation.GetSegmentation().GetSegment(ids[0])
    assert head.GetName() == "head"
    assert np.allclose(head.GetColor(), np.array(LABELS[0].color) / 255)
    assert "SCT^5366008^Hippocampus" in head.GetTerminology()
    assert segmentation.GetNodeReferenceID("referenceImageGeometryRef") == volume.GetID()


def test_other_segments_of_an_existing_segmentation_are_not_touched(host) -> None:
    volume = someVolume()
    _, geometry = arrayAndGeometryFromVolume(volume)
    segmentation = newSegmentationFor(volume, "mine")
    mine = np.zeros(geometry.shape_kji, np.uint8)
    mine[1:7, 1:9, 1:9] = 1
    drawn = Label(1, "drawn by hand", (10, 200, 10))
    (handId,) = writeLabelsToSegmentation(mine, geometry, segmentation, [drawn])
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[4:9, 4:9, 4:9] = 2
    for _ in range(2):  # the second run replaces the first one's segments
        ids = writeLabelsToSegmentation(labelmap, geometry, segmentation, LABELS)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    kept = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, handId, volume)
    assert np.array_equal(kept > 0, mine > 0)
    tail = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, ids[1], volume)
    assert np.array_equal(tail > 0, labelmap == 2)


@pytest.mark.parametrize("leftHanded", [False, True])
def test_the_engines_seg_nrrd_opens_with_names_colors_and_codes(host, tmp_path: Path, leftHanded: bool) -> None:
    matrix = rigid() @ np.diag([-0.9 if leftHanded else 0.9, 1.2, 2.5, 1.0])
    geometry = Geometry((9, 11, 13), matrix)
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[2:5, 3:8, 4:11], labelmap[6:8, 1:4, 2:9] = 1, 2
    path = tmp_path / "result.seg.nrrd"
    write_segmentation(path, labelmap, geometry, LABELS)
    node = slicer.util.loadSegmentation(str(path))
    segmentation = node.GetSegmentation()
    assert [segmentation.GetNthSegment(n).GetName() for n in range(2)] == ["head", "tail"]
    assert np.allclose(segmentation.GetNthSegment(1).GetColor(), np.array(LABELS[1].color) / 255, atol=1e-3)
    assert "SCT^5366008^Hippocampus" in segmentation.GetNthSegment(0).GetTerminology()
    for number, label in enumerate(LABELS):
        points = geometry.ras_from_ijk(np.argwhere(labelmap == label.value)[:, ::-1])
        center = node.GetSegmentCenterRAS(segmentation.GetNthSegmentID(number))
        assert np.linalg.norm(np.array(center) - points.mean(axis=0)) < 2.5


def test_slicers_seg_nrrd_opens_in_the_engine(host, tmp_path: Path) -> None:
    volume = someVolume()
    _, geometry = arrayAndGeometryFromVolume(volume)
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[2:6, 3:8, 4:7], labelmap[6:8, 3:8, 4:7] = 1, 2
    segmentation = newSegmentationFor(volume, "result")
    writeLabelsToSegmentation(labelmap, geometry, segmentation, LABELS)
    path = tmp_path / "slicer.seg.nrrd"
    assert slicer.util.saveNode(segmentation, str(path))
    read = read_segmentation(path)
    assert [label.name for label in read.labels] == ["head", "tail"]
    assert read.labels[0].terminology["type"] == HIPPOCAMPUS["type"]
    for label, value in zip(read.labels, (1, 2), strict=True):
        points = read.geometry.ras_from_ijk(np.argwhere(read.labelmap_kji == label.value)[:, ::-1])
        expected = geometry.ras_from_ijk(np.argwhere(labelmap == value)[:, ::-1])
        assert len(points) == len(expected)
        assert np.allclose(points.mean(axis=0), expected.mean(axis=0), atol=1e-3)
