"""Four-up pictures: what is segmented is seen, where it is, in its color; and the scene stays as it was."""

import numpy as np
import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from slicerhost.views.screenshot import four_up_picture, segmented_points_ras, write_png

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.8, 0.1)
SIZE = (404, 324)  # tiles of 200 x 160


@pytest.fixture
def volume_node():
    """100 mm cube of gray voxels around the origin, 2 mm apart."""
    ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ijk_to_ras[:3, 3] = -49
    return slicer.util.addVolumeFromArray(np.random.default_rng(0).normal(100, 10, (50, 50, 50)), ijkToRAS=ijk_to_ras)


@pytest.fixture
def segmentation_node(volume_node):
    """A red ball at R = +24 and a green one at R = -24, radius 10 mm."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "balls")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    k, j, i = np.mgrid[0:50, 0:50, 0:50]
    for name, color, center_i in (("right", RED, 36.5), ("left", GREEN, 12.5)):
        node.GetSegmentation().AddEmptySegment(name, name, color)
        ball = (i - center_i) ** 2 + (j - 24.5) ** 2 + (k - 24.5) ** 2 < 5**2
        slicer.util.updateSegmentBinaryLabelmapFromArray(ball.astype(np.uint8), node, name, volume_node)
    return node


def tiles(picture):
    """The pictures of the four views by name."""
    (top, bottom), (left, right) = (slice(0, 160), slice(164, 324)), (slice(0, 200), slice(204, 404))
    return {
        "axial": picture[top, left],
        "3d": picture[top, right],
        "coronal": picture[bottom, left],
        "sagittal": picture[bottom, right],
    }


def reddish(tile):
    return tile[..., 0].astype(int) - np.maximum(tile[..., 1], tile[..., 2]) > 40


def greenish(tile):
    return tile[..., 1].astype(int) - np.maximum(tile[..., 0], tile[..., 2]) > 40


def columns(mask):
    """Columns of the pixels that are set, away from the caption, the ruler and the letters at the borders."""
    return 20 + np.argwhere(mask[30:135, 20:180])[:, 1]


def node_ids():
    return {node.GetID() for node in slicer.mrmlScene.GetNodes()}


def test_every_view_shows_the_segments_in_their_colors_and_places(volume_node, segmentation_node, tmp_path):
    picture = four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE)
    assert picture.shape == (324, 404, 3)
    views = tiles(picture)
    for name in ("axial", "coronal"):
        assert 50 < np.median(columns(reddish(views[name]))) < 90, name  # the patient's right is on the left
        assert 110 < np.median(columns(greenish(views[name]))) < 150, name
    assert reddish(views["3d"]).sum() > 500
    assert greenish(views["3d"]).sum() > 500
    one, other = reddish(views["sagittal"])[30:135].sum(), greenish(views["sagittal"])[30:135].sum()
    assert max(one, other) > 300  # the sagittal slice goes through one of them
    assert min(one, other) == 0


def test_without_segments_shown_there_is_no_color(volume_node, segmentation_node, tmp_path):
    segmentation_node.CreateDefaultDisplayNodes()
    for segment_id in ("right", "left"):
        segmentation_node.GetDisplayNode().SetSegmentVisibility(segment_id, False)
    views = tiles(four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE))
    for name in ("axial", "coronal", "sagittal", "3d"):
        assert not len(columns(greenish(views[name]))), name
        if name != "3d":  # its background is blue, its marker of the axes partly red
            assert not len(columns(reddish(views[name]))), name


def test_zooming_makes_the_structure_larger(volume_node, segmentation_node, tmp_path):
    def area(**options):
        picture = four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE, **options)
        return reddish(tiles(picture)["axial"])[30:135].sum()

    whole = area(ras_center=(24, 0, 0), field_of_view_mm=100)
    zoomed = area(ras_center=(24, 0, 0), field_of_view_mm=50)
    assert zoomed == pytest.approx(4 * whole, rel=0.15)


def test_the_file_holds_the_picture(volume_node, segmentation_node, tmp_path):
    picture = four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE)
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(tmp_path / "picture.png"))
    reader.Update()
    read = vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars()).reshape(324, 404, 3)[::-1]
    np.testing.assert_array_equal(read, picture)


def test_the_scene_and_the_redo_of_the_user_stay_as_they_were(volume_node, segmentation_node, tmp_path):
    segmentation_node.CreateDefaultDisplayNodes()
    display = segmentation_node.GetDisplayNode()
    display.SetVisibility(False)
    display.SetOpacity2DFill(0.25)
    editor_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor_node.SetAndObserveSegmentationNode(segmentation_node)
    editor_node.SetAndObserveSourceVolumeNode(volume_node)
    editor = slicer.vtkSlicerSegmentEditorLogic()
    editor.SetMRMLScene(slicer.mrmlScene)
    editor.SetSegmentEditorNode(editor_node)
    editor.SaveStateForUndo()
    segmentation_node.GetSegmentation().RemoveSegment("left")
    editor.Undo()
    assert editor.CanRedo()
    before = node_ids()
    four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE)
    assert node_ids() == before
    assert editor.CanRedo()
    assert not segmentation_node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert (display.GetVisibility(), display.GetOpacity2DFill()) == (0, 0.25)


def test_the_picture_follows_a_parent_transform(volume_node, segmentation_node, tmp_path):
    points_ras = segmented_points_ras(segmentation_node)
    transform_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = np.array([[0, -1, 0, 5.0], [1, 0, 0, -6.0], [0, 0, 1, 7.0], [0, 0, 0, 1]])
    transform_node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    for node in (volume_node, segmentation_node):
        node.SetAndObserveTransformNodeID(transform_node.GetID())
    np.testing.assert_allclose(
        segmented_points_ras(segmentation_node), points_ras @ matrix[:3, :3].T + matrix[:3, 3], atol=1e-6
    )
    views = tiles(four_up_picture(volume_node, segmentation_node, tmp_path / "picture.png", size=SIZE))
    # Turned by 90 degrees around S: the balls now lie one behind the other along A, side by side in the sagittal view.
    sagittal = views["sagittal"]
    assert abs(np.median(columns(reddish(sagittal))) - np.median(columns(greenish(sagittal)))) > 40


def test_an_empty_segmentation_is_an_error(volume_node, tmp_path):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nothing")
    empty.GetSegmentation().AddEmptySegment("a")
    with pytest.raises(ValueError, match="nothing is empty"):
        four_up_picture(volume_node, empty, tmp_path / "picture.png", size=SIZE)


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(OSError, match="absent"):
        write_png(np.zeros((4, 5, 3), np.uint8), tmp_path / "absent" / "picture.png")


def test_both_hippocampi_of_a_whole_head_are_seen(shared_data, tmp_path):
    folder = shared_data / "mini3d" / "mni152_09a_sym"
    volume_node = slicer.util.loadVolume(str(next(folder.glob("*_converted.nii.gz"))))
    label_node = slicer.util.loadLabelVolume(str(next(folder.glob("*_labels.nii.gz"))))
    labels_kji = slicer.util.arrayFromVolume(label_node)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "hippocampi")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    for name, color, values in (("left", RED, range(7, 13)), ("right", GREEN, (88, 89, 90, 91, 92, 96))):
        node.GetSegmentation().AddEmptySegment(name, name, color)
        mask = np.isin(labels_kji, list(values)).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, name, volume_node)
    picture = four_up_picture(volume_node, node, tmp_path / "head.png", size=SIZE, field_of_view_mm=110)
    axial = tiles(picture)["axial"]
    assert np.median(columns(greenish(axial))) < 100 < np.median(columns(reddish(axial)))
    assert reddish(axial)[30:135].sum() > 200
