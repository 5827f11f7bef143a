"""Files through slicer.util and Slicer's real storage nodes."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

OBLIQUE_IJK_TO_RAS = np.array([[0.8, -0.6, 0, 12], [0.6, 0.8, 0, -30], [0, 0, 2.5, 7], [0, 0, 0, 1]])


def make_volume(ijk_to_ras=OBLIQUE_IJK_TO_RAS, shape_kji=(7, 11, 13)):
    voxels = np.arange(np.prod(shape_kji), dtype=np.int16).reshape(shape_kji)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=ijk_to_ras, name="volume"), voxels


def ijk_to_ras(volume_node):
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_volumes_survive_saving_and_loading(tmp_path, ending):
    volume_node, voxels = make_volume()
    path = str(tmp_path / f"volume{ending}")
    assert slicer.util.saveNode(volume_node, path)
    loaded = slicer.util.loadVolume(path)
    assert loaded.GetName() == "volume_1"  # unique, because the first one is still there
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), voxels)
    np.testing.assert_allclose(ijk_to_ras(loaded), OBLIQUE_IJK_TO_RAS, atol=1e-4)


def test_a_left_handed_file_is_loaded_right_handed_with_the_same_anatomy(tmp_path):
    # Slicer flips such volumes along k: the array differs from the file's, the anatomy does not.
    left_handed = OBLIQUE_IJK_TO_RAS @ np.diag([1, 1, -1, 1])
    voxels = np.arange(7 * 11 * 13, dtype=np.int16).reshape(7, 11, 13)
    image = sitk.GetImageFromArray(voxels)
    spacing = np.linalg.norm(left_handed[:3, :3], axis=0)
    ras_to_lps = np.diag([-1, -1, 1])
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ras_to_lps @ left_handed[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((ras_to_lps @ left_handed[:3, 3]).tolist())
    path = str(tmp_path / "left_handed.nrrd")
    sitk.WriteImage(image, path)

    loaded = slicer.util.loadVolume(path)
    assert np.linalg.det(ijk_to_ras(loaded)[:3, :3]) > 0
    value = 5 + 13 * (3 + 11 * 2)  # voxel i=5, j=3, k=2 of the file
    (kji,) = np.argwhere(slicer.util.arrayFromVolume(loaded) == value)
    np.testing.assert_allclose(ijk_to_ras(loaded) @ [*kji[::-1], 1], left_handed @ [5, 3, 2, 1], atol=1e-4)


def test_a_segmentation_survives_saving_and_loading_as_seg_nrrd(tmp_path):
    volume_node, voxels = make_volume()
    segmentation_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "hippocampus")
    segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    rng = np.random.default_rng(0)
    masks = {"anterior": rng.random(voxels.shape) > 0.6, "posterior": rng.random(voxels.shape) > 0.8}  # they overlap
    colors = {"anterior": (0.8, 0.4, 0.2), "posterior": (0.2, 0.6, 1.0)}
    terminology = (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^85756007^Tissue~^^~Anatomic codes - DICOM master list~^^~^^"
    )
    for name, mask in masks.items():
        segment_id = segmentation_node.GetSegmentation().AddEmptySegment(name, name, colors[name])
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation_node, segment_id, volume_node)
        segmentation_node.GetSegmentation().GetSegment(segment_id).SetTag("TerminologyEntry", terminology)
    path = str(tmp_path / "hippocampus.seg.nrrd")
    assert slicer.util.saveNode(segmentation_node, path)
    assert slicer.app.coreIOManager().fileType(path) == "SegmentationFile"

    loaded = slicer.util.loadSegmentation(path)
    segmentation = loaded.GetSegmentation()
    assert loaded.GetName() == "hippocampus"
    assert list(segmentation.GetSegmentIDs()) == ["anterior", "posterior"]
    for name, mask in masks.items():
        segment = segmentation.GetSegment(name)
        assert segment.GetName() == name
        assert segment.GetColor() == pytest.approx(colors[name], abs=1e-3)
        tag = vtk.reference("")
        assert segment.GetTag("TerminologyEntry", tag)
        assert str(tag) == terminology
        np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(loaded, name, volume_node), mask)


def test_markups_survive_saving_and_loading(tmp_path):
    points_ras = np.array([[1.5, -2.0, 3.0], [40.0, 5.25, -6.0]])
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "prompts")
    slicer.util.updateMarkupsControlPointsFromArray(node, points_ras)
    path = str(tmp_path / "prompts.mrk.json")
    assert slicer.util.saveNode(node, path)
    np.testing.assert_allclose(slicer.util.arrayFromMarkupsControlPoints(slicer.util.loadMarkups(path)), points_ras)


def test_a_missing_file_and_an_unknown_type_are_errors(tmp_path):
    with pytest.raises(RuntimeError, match=r"absent\.nrrd"):
        slicer.util.loadVolume(str(tmp_path / "absent.nrrd"))
    unknown = tmp_path / "scene.pdf"
    unknown.write_text("x")
    with pytest.raises(NotImplementedError, match="NoFile"):
        slicer.util.loadNodeFromFile(str(unknown))
