"""What cannot be segmented, runs that end early, and warnings: one sentence each, and no node is left."""

import numpy as np
import pytest
import slicer
import vtk

from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from panel_tools import addVolume, segmentNames, voxelsOf


def badVolume(kind: str):
    if kind == "color":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
        image = vtk.vtkImageData()
        image.SetDimensions(4, 4, 4)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node.SetAndObserveImageData(image)
    elif kind == "slice":
        node = addVolume(shape=(1, 20, 20))
    elif kind == "empty":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    elif kind == "labelmap":
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    else:
        node = addVolume()
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


def test_a_model_of_a_region_gets_one_or_somebody_insists(logic) -> None:
    large, small = addVolume(shape=(26, 40, 40)), addVolume()
    with pytest.raises(ValueError, match=r"boxed needs a region of interest"):
        logic.segment(large, model="boxed")
    assert logic.segmentBatch([large], model="boxed").errors[0] is not None
    assert segmentNames(logic.segment(small, model="boxed")) == ["left", "right"]
    assert segmentNames(logic.segment(large, model="boxed", whole=True)) == ["left", "right"]
    assert logic.segmentBatch([large], model="boxed", whole=True).errors == [None]


def shapesFor(volume, representation: str):
    """A segmentation of one sphere, which holds no voxels."""
    node = newSegmentationFor(volume, "shapes")
    node.GetSegmentation().SetSourceRepresentationName(representation)
    sphere, segment = vtk.vtkSphereSource(), slicer.vtkSegment()
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    sphere.SetCenter(*(bounds[::2] + bounds[1::2]) / 2)
    sphere.SetRadius(5)
    sphere.Update()
    segment.SetName("drawn")
    segment.AddRepresentation(representation, sphere.GetOutput())
    node.GetSegmentation().AddSegment(segment, "drawn")
    return node


def test_shapes_become_voxels_before_a_run_or_it_is_refused(logic) -> None:
    volume = addVolume()
    contours = shapesFor(volume, "Planar contour")
    with pytest.raises(ValueError, match="cannot become voxels"):  # the program for it is an extension's
        logic.segment(volume, model="tiny", segmentationNode=contours)
    assert segmentNames(contours) == ["drawn"] and logic.autoSegment.runs == []
    surfaces = shapesFor(volume, "Closed surface")
    logic.segment(volume, model="tiny", segmentationNode=surfaces)
    assert segmentNames(surfaces) == ["drawn", "left", "right"] and voxelsOf(surfaces, "drawn", volume).sum() > 50


def test_wrong_names_are_answered_by_the_names_there_are(logic) -> None:
    volume = addVolume()
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
        logic.segment(addVolume(), model="tiny", roiNode=roi)


def test_voxels_that_are_not_finite_are_an_error_of_the_run_and_leave_no_node(logic) -> None:
    volume = addVolume()
    slicer.util.arrayFromVolume(volume)[3, 4, 5] = np.nan
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RunFailure, match="NaN") as caught:
        logic.segment(volume, model="tiny")
    assert caught.value.code == "invalid_input"
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


@pytest.mark.parametrize("ending", ["cancel", "remove volume", "remove output", "close scene"])
def test_a_run_that_ends_early_writes_nothing(logic, ending: str) -> None:
    volume = addVolume()
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


def test_a_warning_says_what_is_unlike_the_models_training(logic) -> None:
    volume = addVolume()
    card = next(card for card in logic.models() if card.id == "tiny")
    assert logic.autoSegment.inputWarnings([volume], card) == []
    slicer.util.arrayFromVolume(volume)[:] -= 1100
    volume.SetSpacing(6, 6, 6)
    warnings = logic.autoSegment.inputWarnings([volume], card)
    assert len(warnings) == 2 and "spacing" in warnings[0] and "CT" in warnings[1]
