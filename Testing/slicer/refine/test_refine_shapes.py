"""Segmentations of surfaces and contours: shapes become voxels before they are edited, and undo brings them back."""

import numpy as np
import pytest
import slicer
import vtk

from refine_case import CENTER_MM, WALKER, Case

SURFACE, LABELMAP, CONTOURS = "Closed surface", "Binary labelmap", "Planar contour"


class Shapes(Case):
    """The segments "ball" and "other" are spheres, as an STL file has them, and "empty" holds nothing."""

    def __init__(self, source: str = SURFACE):
        super().__init__()
        segmentation = self.segmentation.GetSegmentation()
        segmentation.RemoveAllSegments()
        segmentation.SetSourceRepresentationName(source)
        self.shapes = {}
        for name, offset, radius in (("ball", (0, 0, 0), 8.0), ("other", (12, 10, 6), 4.0)):
            sphere = vtk.vtkSphereSource()
            sphere.SetCenter(*(CENTER_MM + offset))
            sphere.SetRadius(radius)
            sphere.SetThetaResolution(24)
            sphere.SetPhiResolution(24)
            sphere.Update()
            self.shapes[name] = sphere.GetOutput()
            segment = slicer.vtkSegment()
            segment.SetName(name)
            segment.AddRepresentation(source, self.shapes[name])
            segmentation.AddSegment(segment, name)
        segmentation.AddEmptySegment("empty", "empty")

    def areShapesThere(self, source: str = SURFACE) -> bool:
        segmentation = self.segmentation.GetSegmentation()
        found = [segmentation.GetSegment(name).GetRepresentation(source) for name in self.shapes]
        return segmentation.GetSourceRepresentationName() == source and found == list(self.shapes.values())


@pytest.fixture
def shapes(host):
    return Shapes()


def test_starting_changes_no_shape_a_click_keeps_the_voxels_of_all_and_undo_brings_the_shapes_back(logic, shapes):
    session = logic.startRefinement(shapes.volume, shapes.segmentation, "ball", WALKER)
    assert shapes.areShapesThere()
    ball, other = shapes.mask(), shapes.mask("other")
    assert ball.sum() > 500 and other.sum() > 50
    session.addPoint(shapes.world((9, 0, 0)), plane=(0, 0, 1))
    clicked = shapes.mask()
    assert shapes.segmentation.GetSegmentation().GetSourceRepresentationName() == LABELMAP
    assert not np.array_equal(clicked, ball) and (clicked & ball).sum() > 0.9 * ball.sum()
    assert np.array_equal(shapes.mask("other"), other)
    session.undo()
    assert shapes.areShapesThere() and np.array_equal(shapes.mask(), ball)
    session.redo()
    assert np.array_equal(shapes.mask(), clicked) and np.array_equal(shapes.mask("other"), other)
    session.undo()
    assert shapes.areShapesThere()


def test_shapes_do_not_come_back_over_voxels_that_were_painted_since(logic, shapes):
    session = logic.startRefinement(shapes.volume, shapes.segmentation, "ball", WALKER)
    session.addPoint(shapes.world((9, 0, 0)), plane=(0, 0, 1))
    painted = shapes.mask("other")
    painted[:2, :5, :5] = True
    shapes.put("other", painted)
    session.undo()
    assert "shapes are not brought back" in session.takeNotice()
    assert np.array_equal(shapes.mask("other"), painted) and shapes.mask().any()


def test_shapes_that_cannot_become_voxels_are_refused_untouched(logic, host):
    contours = Shapes(CONTOURS)
    editors = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    with pytest.raises(ValueError, match="cannot become voxels"):
        logic.startRefinement(contours.volume, contours.segmentation, "ball", WALKER)
    assert contours.areShapesThere(CONTOURS)
    assert contours.segmentation.GetSegmentation().GetSegment("ball").GetRepresentation(LABELMAP) is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == editors
