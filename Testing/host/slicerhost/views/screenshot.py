"""Pictures of volumes and segmentations, drawn by Slicer's own displayable managers. Without Qt.

import slicerhost
from slicerhost.views.screenshot import four_up_picture

slicerhost.start()
volume_node = slicer.util.loadVolume("head.nii.gz")
segmentation_node = slicer.util.loadSegmentation("hippocampus.seg.nrrd")
four_up_picture(volume_node, segmentation_node, "picture.png", field_of_view_mm=120)
"""

import contextlib
import os

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .slice_view import SliceView
from .three_d_view import ThreeDView
from .view import View

# Slicer's colors for the three standard slice views.
SLICE_COLORS = {"Axial": (0.95, 0.29, 0.20), "Sagittal": (0.93, 0.84, 0.29), "Coronal": (0.43, 0.69, 0.29)}
THREE_D_COLOR = (0.45, 0.45, 0.90)
# Axis of the slice offset, and the patient's sides at the left and right border of each picture (radiological display).
_OFFSET_AXIS = {"Axial": (2, "S"), "Sagittal": (0, "R"), "Coronal": (1, "A")}
_BORDER_LETTERS = {"Axial": ("R", "L"), "Sagittal": ("A", "P"), "Coronal": ("R", "L")}
_GAP_PIXELS = 4


def four_up_picture(
    volume_node,
    segmentation_node,
    path: str | os.PathLike,
    ras_center=None,
    size=(1200, 1000),
    field_of_view_mm: float | None = None,
    opacity_2d_fill: float = 0.45,
    title: str = "",
) -> np.ndarray:
    """Write axial, sagittal and coronal slices with the segmentation over the volume, and its surfaces in 3D, as one PNG.

    The scene is left as it was: the views, and the closed surfaces if the segmentation has none, are made for the picture only.

    Args:
        volume_node: vtkMRMLScalarVolumeNode shown in the background, with its own window and level.
        segmentation_node: vtkMRMLSegmentationNode.
        path: PNG file to write.
        ras_center: (R, A, S) in mm, world, where the three slices meet, in the middle of each picture. By default each slice
            lies where the segmentation is largest, with the middle of the segmentation in the middle of the picture.
        size: (width, height) of the whole picture in pixels.
        field_of_view_mm: smaller side of each slice picture in mm, to zoom in; None shows the whole volume.
        opacity_2d_fill: opacity of the segments' fill in the slices, 0 to 1; outlines are always drawn.
        title: written into the 3D picture.

    Returns:
        The picture, (height, width, 3) uint8, RGB, top row first.

    Raises:
        ValueError: the segmentation is empty.
        OSError: the file cannot be written.
    """
    points_ras = segmented_points_ras(segmentation_node)
    bounds_ras = np.stack([points_ras.min(axis=0), points_ras.max(axis=0)], axis=1)
    middle_ras = bounds_ras.mean(axis=1) if ras_center is None else np.asarray(ras_center, float)
    slices_ras = _largest_slices_ras(points_ras) if ras_center is None else middle_ras
    tile_size = tuple((side - _GAP_PIXELS) // 2 for side in size)
    with _display_for_picture(segmentation_node, opacity_2d_fill):
        slices = [
            _slice_picture(orientation, volume_node, slices_ras, middle_ras, tile_size, field_of_view_mm)
            for orientation in ("Axial", "Sagittal", "Coronal")
        ]
        surfaces = _three_d_picture(segmentation_node, bounds_ras, tile_size, title)
    axial, sagittal, coronal = slices
    picture = _tiled([[axial, surfaces], [coronal, sagittal]], size)
    write_png(picture, path)
    return picture


def write_png(picture: np.ndarray, path: str | os.PathLike) -> None:
    """Write a picture, (height, width, 3) uint8, RGB, top row first.

    Raises:
        OSError: the file cannot be written.
    """
    height, width, channels = picture.shape
    bottom_up = np.ascontiguousarray(picture[::-1]).reshape(-1, channels)
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(bottom_up, deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetWriteToMemory(True)
    writer.SetInputData(image)
    writer.Write()
    with open(path, "wb") as file:
        file.write(memoryview(writer.GetResult()))


def add_caption(view: View, text: str, color, left: str = "", right: str = "") -> None:
    """Write text into a view: a caption at the top left, and letters at the left and right border."""
    caption = vtk.vtkCornerAnnotation()
    caption.SetText(vtk.vtkCornerAnnotation.UpperLeft, text)
    caption.SetText(vtk.vtkCornerAnnotation.LeftEdge, left)
    caption.SetText(vtk.vtkCornerAnnotation.RightEdge, right)
    caption.SetMaximumFontSize(18)
    caption.GetTextProperty().SetColor(*color)
    caption.GetTextProperty().SetBackgroundColor(0, 0, 0)
    caption.GetTextProperty().SetBackgroundOpacity(0.6)  # readable on bright tissue too
    view.top_renderer.AddViewProp(caption)


def segmented_points_ras(segmentation_node) -> np.ndarray:
    """Centers of all segmented voxels.

    Args:
        segmentation_node: vtkMRMLSegmentationNode with binary labelmaps, under any parent transform.

    Returns:
        (n, 3) float, RAS in mm, world; n >= 1.

    Raises:
        ValueError: no segment has a voxel.
    """
    segmentation = segmentation_node.GetSegmentation()
    points_ras = []
    for segment_id in segmentation.GetSegmentIDs():
        labelmap = segmentation_node.GetBinaryLabelmapInternalRepresentation(segment_id)
        if labelmap is None or labelmap.GetNumberOfPoints() == 0:
            continue
        voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars())
        (flat_indices,) = np.nonzero(voxels == segmentation.GetSegment(segment_id).GetLabelValue())
        extent = labelmap.GetExtent()
        k, j, i = np.unravel_index(flat_indices, labelmap.GetDimensions()[::-1])
        image_to_world = vtk.vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(image_to_world)
        ijk1 = np.stack([i + extent[0], j + extent[2], k + extent[4], np.ones(len(i))])
        points_ras.append((slicer.util.arrayFromVTKMatrix(image_to_world) @ ijk1)[:3].T)
    if not sum(map(len, points_ras)):
        raise ValueError(
            f"Segmentation {segmentation_node.GetName()} is empty: a picture needs at least one segment with voxels."
        )
    return _to_world(np.concatenate(points_ras), segmentation_node.GetParentTransformNode())


def _to_world(points_ras: np.ndarray, parent_transform_node) -> np.ndarray:
    if parent_transform_node is None:
        return points_ras
    transform = vtk.vtkGeneralTransform()
    parent_transform_node.GetTransformToWorld(transform)
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    target.SetDataTypeToDouble()
    source.SetData(numpy_to_vtk(np.ascontiguousarray(points_ras), deep=True))
    transform.TransformPoints(source, target)
    return vtk_to_numpy(target.GetData()).copy()


def _largest_slices_ras(points_ras: np.ndarray) -> np.ndarray:
    """(R, A, S) of the sagittal, coronal and axial slice with the most segmented voxels, to 1 mm."""
    rounded = np.round(points_ras).astype(int)
    lowest = rounded.min(axis=0)
    return np.array([lowest[axis] + np.bincount(rounded[:, axis] - lowest[axis]).argmax() for axis in range(3)], float)


@contextlib.contextmanager
def _display_for_picture(segmentation_node, opacity_2d_fill: float):
    """Set the segmentation's display, and give it back as it was."""
    if not segmentation_node.GetDisplayNode():
        segmentation_node.CreateDefaultDisplayNodes()
    display = segmentation_node.GetDisplayNode()
    before = display.GetVisibility(), display.GetOpacity2DFill()
    display.SetVisibility(True)
    display.SetOpacity2DFill(opacity_2d_fill)
    try:
        yield
    finally:
        display.SetVisibility(before[0])
        display.SetOpacity2DFill(before[1])


@contextlib.contextmanager
def _closed_surfaces(segmentation_node):
    """Show the segments in 3D.

    A segmentation without surfaces gets a stand-in: making surfaces in it would take away the user's redo.
    """
    if segmentation_node.GetSegmentation().ContainsRepresentation("Closed surface"):
        yield
        return
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Surfaces for the picture")
    copy.GetSegmentation().DeepCopy(segmentation_node.GetSegmentation())
    copy.SetAndObserveTransformNodeID(segmentation_node.GetTransformNodeID())
    copy.CreateDefaultDisplayNodes()
    copy.GetDisplayNode().CopyContent(segmentation_node.GetDisplayNode())
    copy.GetDisplayNode().SetVisibility2D(False)
    copy.CreateClosedSurfaceRepresentation()
    try:
        yield
    finally:
        display = copy.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(copy)
        slicer.mrmlScene.RemoveNode(display)


def _slice_picture(orientation, volume_node, slices_ras, middle_ras, size, field_of_view_mm) -> np.ndarray:
    axis, letter = _OFFSET_AXIS[orientation]
    center_ras = np.array(middle_ras)
    center_ras[axis] = slices_ras[axis]
    view = SliceView(f"Picture{orientation}", orientation, size)
    try:
        view.node.SetLayoutColor(*SLICE_COLORS[orientation])
        view.node.SetRulerType(view.node.RulerTypeThin)
        view.show_volume(volume_node)
        view.center_on(center_ras, field_of_view_mm)
        caption = f"{orientation}  {letter} = {center_ras[axis]:.1f} mm"
        add_caption(view, caption, SLICE_COLORS[orientation], *_BORDER_LETTERS[orientation])
        return view.picture()
    finally:
        view.close()


def _three_d_picture(segmentation_node, bounds_ras, size, title) -> np.ndarray:
    view = ThreeDView("Picture3D", size)
    try:
        view.node.SetBoxVisible(False)
        view.node.SetAxisLabelsVisible(False)
        view.node.SetOrientationMarkerType(view.node.OrientationMarkerTypeAxes)
        add_caption(view, title or segmentation_node.GetName(), (1, 1, 1))
        with _closed_surfaces(segmentation_node):
            view.look_at(bounds_ras)
            return view.picture()
    finally:
        view.close()


def _tiled(rows, size) -> np.ndarray:
    width, height = size
    picture = np.full((height, width, 3), 255, np.uint8)
    for row_index, row in enumerate(rows):
        for column_index, tile in enumerate(row):
            tile_height, tile_width, _ = tile.shape
            top, left = row_index * (tile_height + _GAP_PIXELS), column_index * (tile_width + _GAP_PIXELS)
            picture[top : top + tile_height, left : left + tile_width] = tile
    return picture
