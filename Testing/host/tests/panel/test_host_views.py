"""A view and the nodes of the scene that belong to it."""

import slicer

from slicerhost.views.slice_view import SliceView


def test_a_view_takes_the_slice_node_that_outlived_the_scene(host):
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):  # of tests before
        slicer.mrmlScene.RemoveNode(node)
    left_over = slicer.vtkMRMLSliceNode()
    left_over.SetLayoutName("Red")
    slicer.mrmlScene.AddNode(left_over)
    host.clear_scene()
    view = SliceView("Red")
    assert view.node is left_over and view.logic.GetSliceNode() is left_over
    assert slicer.util.getNodesByClass("vtkMRMLSliceNode") == [left_over]
    view.picture()
    view.close()
    assert slicer.util.getNodesByClass("vtkMRMLSliceNode") == []
