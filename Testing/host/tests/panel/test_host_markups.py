"""A mouse over the host's rendered views: Slicer's own displayable managers and interactor styles answer."""

import numpy as np
import pytest
import slicer

from slicerhost.views.placing import active_place_node, start_placing, stop_placing
from slicerhost.views.slice_view import SliceView
from slicerhost.views.three_d_view import ThreeDView

CENTER_RAS = np.array([12.0, -7.0, 31.0])


@pytest.fixture
def volume_node():
    """80 x 80 x 60 mm around CENTER_RAS, 2 x 2 x 3 mm voxels."""
    ijk_to_ras = np.diag([2.0, 2.0, 3.0, 1.0])
    ijk_to_ras[:3, 3] = CENTER_RAS - np.array([39, 39, 28.5])
    voxels = np.random.default_rng(0).normal(100, 20, (20, 40, 40)).astype(np.float32)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=ijk_to_ras)


@pytest.fixture
def points():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "prompts")
    node.CreateDefaultDisplayNodes()
    return node


def look(view, orientation, volume_node):
    view.show_volume(volume_node)
    if orientation == "Oblique":
        tilted, turned = np.radians(30), np.radians(20)
        right = np.array([-np.cos(turned), np.sin(turned), 0])
        normal = np.cross(right, [0, np.sin(tilted), np.cos(tilted)])
        view.set_plane(normal / np.linalg.norm(normal), right, CENTER_RAS)
    view.center_on(CENTER_RAS, field_of_view_mm=80)
    view.picture()
    return view


@pytest.mark.parametrize("orientation", ["Axial", "Sagittal", "Coronal", "Oblique"])
def test_a_click_places_a_point_at_the_ras_under_the_mouse(make_slice_view, volume_node, points, orientation):
    view = make_slice_view("Red", "Axial" if orientation == "Oblique" else orientation)
    look(view, orientation, volume_node)
    plane = slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())
    target_ras = CENTER_RAS + 11.0 * plane[:3, 0] - 17.0 * plane[:3, 1]
    start_placing(points)
    clicked_ras = view.click_at(target_ras)
    assert points.GetNumberOfDefinedControlPoints() == 1
    (placed_ras,) = slicer.util.arrayFromMarkupsControlPoints(points, world=True)
    np.testing.assert_allclose(placed_ras, clicked_ras, atol=0.01)
    np.testing.assert_allclose(placed_ras, target_ras, atol=0.1 * np.sqrt(2))  # half a pixel of 0.2 mm each way
    assert abs((placed_ras - CENTER_RAS) @ plane[:3, 2]) < 1e-3  # on the plane


def test_known_anatomical_directions_of_the_axial_view(make_slice_view, volume_node, points):
    view = look(make_slice_view(), "Axial", volume_node)
    start_placing(points, persistent=True)
    view.mouse.click(300, 200)  # right of the center: patient's left
    view.mouse.click(200, 300)  # above the center: anterior
    placed_ras = slicer.util.arrayFromMarkupsControlPoints(points)
    np.testing.assert_allclose(placed_ras - CENTER_RAS, [[-20, 0, 0], [0, 20, 0]], atol=0.11)


def test_moving_in_place_mode_shows_a_preview_that_is_no_defined_point(make_slice_view, volume_node, points):
    view = look(make_slice_view(), "Axial", volume_node)
    defined = []
    points.AddObserver(points.PointPositionDefinedEvent, lambda *_: defined.append(1))
    start_placing(points)
    assert active_place_node() is points
    view.mouse.move(150, 150)
    view.mouse.move(160, 160)
    assert (points.GetNumberOfControlPoints(), points.GetNumberOfDefinedControlPoints(), len(defined)) == (1, 0, 0)
    view.mouse.click(160, 160)
    assert (points.GetNumberOfDefinedControlPoints(), len(defined)) == (1, 1)


def test_persistent_placing_goes_on_until_it_is_stopped(make_slice_view, volume_node, points):
    view = look(make_slice_view(), "Axial", volume_node)
    start_placing(points, persistent=True)
    for x in (100, 200, 300):
        view.mouse.click(x, 150)
    stop_placing()
    view.mouse.click(250, 250)
    assert points.GetNumberOfDefinedControlPoints() == 3


def test_a_point_follows_the_drag(make_slice_view, volume_node, points):
    view = look(make_slice_view(), "Axial", volume_node)
    points.AddControlPoint(CENTER_RAS.tolist())
    view.picture()
    start = view.ras_to_xy(CENTER_RAS)
    view.mouse.drag(start, (start[0] + 60, start[1] + 25))
    (moved_ras,) = slicer.util.arrayFromMarkupsControlPoints(points)
    np.testing.assert_allclose(moved_ras - CENTER_RAS, [-12, 5, 0], atol=0.3)


def test_two_clicks_make_a_box(make_slice_view, volume_node):
    view = look(make_slice_view(), "Axial", volume_node)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    start_placing(roi)
    view.mouse.click(100, 120)
    view.mouse.click(300, 280)
    size_mm, center_ras = list(roi.GetSize()), list(roi.GetCenter())
    np.testing.assert_allclose(size_mm[:2], [40, 32], atol=0.5)
    np.testing.assert_allclose(center_ras[:2], CENTER_RAS[:2], atol=0.5)


def test_the_wheel_moves_through_the_slices(make_slice_view, volume_node):
    view = look(make_slice_view(), "Axial", volume_node)
    offset_mm = view.node.GetSliceOffset()
    view.mouse.wheel(200, 200, 2)
    assert view.node.GetSliceOffset() == pytest.approx(offset_mm + 6)
    view.mouse.wheel(200, 200, -3)
    assert view.node.GetSliceOffset() == pytest.approx(offset_mm - 3)


def test_a_left_drag_in_3d_rotates_the_camera(make_three_d_view):
    view = make_three_d_view()
    view.look_at((-50, 50, -50, 50, -50, 50))
    view.picture()
    before = view.renderer.GetActiveCamera().GetPosition()
    view.mouse.drag((200, 200), (260, 200))
    after = view.renderer.GetActiveCamera().GetPosition()
    assert np.linalg.norm(np.subtract(after, before)) > 10
    assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), rel=1e-3)


def test_a_click_outside_the_view_is_an_error(make_slice_view, volume_node):
    view = look(make_slice_view(), "Axial", volume_node)
    with pytest.raises(ValueError, match="outside the view"):
        view.click_at(CENTER_RAS + np.array([500, 0, 0]))


def test_a_closed_view_leaves_nothing_in_the_scene(volume_node):
    def node_ids():
        return {node.GetID() for node in slicer.mrmlScene.GetNodes()}

    before = node_ids()
    for _ in range(2):
        slice_view, three_d_view = SliceView("Extra"), ThreeDView("Extra3D")
        slice_view.show_volume(volume_node)
        slice_view.picture()
        three_d_view.picture()
        assert node_ids() > before
        slice_view.close()
        three_d_view.close()
        assert node_ids() == before
