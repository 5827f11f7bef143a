"""The Refine tab with a simulated mouse on rendered slice views, and a real worker process."""

import os

import numpy as np
import pytest
import slicer

from mednextseg.models.library import HOME_VARIABLE
from MedNeXtSegmentLib import RefineLogic as refineLogicModule
from MedNeXtSegmentLib import WorkerClient as workerClientModule
from MedNeXtSegmentLib.RefinePanel import _KEYS
from MedNeXtSegmentLib.SlicerBridge import placementOf
from panel_tools import MODULE
from slicerhost.placing import active_place_node

TIMEOUT_S = 120
SHAPE_KJI = (30, 40, 40)
CENTRE_RAS = np.array([3.0, -4.0, 5.0])
RADIUS_MM = 12.0


@pytest.fixture(scope="module")
def worker(host, tmp_path_factory: pytest.TempPathFactory):
    """One real worker for the file."""

    class LastingWorker(workerClientModule.WorkerClient):
        def stop(self) -> None:
            """The panel's end is not this worker's."""

    os.environ[HOME_VARIABLE] = str(tmp_path_factory.mktemp("home"))
    client = LastingWorker()
    yield client
    workerClientModule.WorkerClient.stop(client)
    del os.environ[HOME_VARIABLE]


@pytest.fixture
def representation(host, worker, monkeypatch: pytest.MonkeyPatch):
    def lastingWorker(_program, environment=None, onReady=None, onLog=None):
        worker._onReady, worker._onLog = onReady, onLog
        return worker

    monkeypatch.setattr(workerClientModule, "WorkerClient", lastingWorker)
    monkeypatch.setattr(refineLogicModule, "defaultPrompter", lambda: "random_walker")
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.enter()
    worker.start()
    host.wait_until(lambda: worker.hello is not None, TIMEOUT_S)
    yield representation
    worker._onReady = worker._onLog = None


class Bench:
    """The Refine tab in front, a bright ball in a volume, empty segments "ball" and "second", and a slice view."""

    def __init__(self, host, representation, view):
        self.host, self.representation, self.view = host, representation, view
        self.module = representation.self().panel
        self.panel, self.ui = self.module.refine, self.module.refine.ui
        ijk_to_ras = np.diag([1.2, 1.2, 1.6, 1.0])
        ijk_to_ras[:3, 3] = CENTRE_RAS - ijk_to_ras[:3, :3] @ np.array([19.7, 20.2, 14.9])
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
        self.truth = np.linalg.norm(points - CENTRE_RAS, axis=-1) < RADIUS_MM
        voxels = 100 + 80 * self.truth + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)
        self.volume = slicer.util.addVolumeFromArray(voxels.astype(np.float32), ijkToRAS=ijk_to_ras, name="CT")
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segments")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in ("ball", "second"):
            self.segmentation.GetSegmentation().AddEmptySegment(name, name)
        parameters = self.panel._parameterNode
        parameters.inputVolume = self.volume
        parameters.outputSegmentation = self.segmentation
        self.module.tabs.setCurrentIndex(1)
        self.look()

    def look(self, normal=None):
        self.view.show_volume(self.volume)
        if normal is not None:
            normal = np.array(normal) / np.linalg.norm(normal)
            self.view.set_plane(normal, np.cross((0, 1, 0), normal) / np.linalg.norm(np.cross((0, 1, 0), normal)), CENTRE_RAS)
        self.view.center_on(CENTRE_RAS, field_of_view_mm=60)
        self.view.picture()

    def click(self, offset_mm=(0.0, 0.0)):
        """Click that far right of and above the ball's centre on the screen, and wait for the answer."""
        plane = slicer.util.arrayFromVTKMatrix(self.view.node.GetSliceToRAS())
        self.view.click_at(CENTRE_RAS + offset_mm[0] * plane[:3, 0] + offset_mm[1] * plane[:3, 1])
        self.settle()

    def settle(self):
        self.host.process_events()
        self.host.wait_until(lambda: self.panel.session is None or not self.panel.session.isBusy, TIMEOUT_S)
        self.host.process_events()

    def mask(self, name="ball"):
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, name, self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    @property
    def status(self):
        return self.ui.refineStatusLabel.text


@pytest.fixture
def bench(host, representation, make_slice_view):
    return Bench(host, representation, make_slice_view("Red", "Axial"))


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


def slabOf(mask):
    """The K layers that a mask has voxels in."""
    slab = np.zeros(mask.shape, bool)
    slab[mask.any(axis=(1, 2))] = True
    return slab


def test_clicks_in_the_view_correct_the_segment_and_undo_and_redo_are_exact(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    assert first.any(), bench.status
    assert dice(first, bench.truth & slabOf(first)) > 0.9
    bench.ui.pointMinusButton.click()
    assert not bench.ui.pointPlusButton.checked
    bench.click((7, 0))
    second = bench.mask()
    assert not np.array_equal(first, second)
    bench.ui.undoButton.click()
    assert np.array_equal(bench.mask(), first)
    bench.ui.undoButton.click()
    assert not bench.mask().any()
    assert not bench.ui.undoButton.enabled
    bench.ui.redoButton.click()
    bench.ui.redoButton.click()
    assert np.array_equal(bench.mask(), second)
    assert not bench.mask("second").any()


def test_an_oblique_view_is_edited_on_its_own_plane(bench):
    normal = np.array([0.2, 0.5, 0.85])
    bench.look(normal)
    bench.ui.pointPlusButton.click()
    bench.click()
    mask = bench.mask()
    assert mask.sum() > 100
    k, j, i = np.nonzero(mask)
    points = np.stack([i, j, k], axis=-1) @ placementOf(bench.volume)[:3, :3].T + placementOf(bench.volume)[:3, 3]
    distances = (points - CENTRE_RAS) @ (normal / np.linalg.norm(normal))
    assert np.abs(distances).max() < 1.6
    assert dice(mask, bench.truth & mask) > 0.9


def test_two_clicks_make_a_box(bench):
    bench.ui.boxButton.click()
    bench.click((-13, -13))
    assert bench.status == "Click the opposite corner."
    assert not bench.mask().any()
    bench.click((13, 13))
    assert dice(bench.mask(), bench.truth & slabOf(bench.mask())) > 0.85


def test_propagation_is_shown_before_it_is_accepted(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    clicked = bench.mask()
    bench.ui.slicesSpinBox.setValue(3)
    bench.ui.propagateButton.click()
    bench.settle()
    assert bench.status.startswith("Preview in yellow")
    assert np.array_equal(bench.mask(), clicked)
    preview = slicer.mrmlScene.GetFirstNodeByName("MedNeXt preview")
    assert preview.GetDisplayVisibility()
    bench.ui.acceptButton.click()
    assert bench.mask().any(axis=(1, 2)).sum() == 7
    assert not preview.GetDisplayVisibility()


def test_next_segment_goes_on_and_the_first_stays(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    first = bench.mask()
    bench.ui.nextSegmentButton.click()
    assert bench.ui.segmentSelector.currentText == "second"
    bench.look((0, 1, 0.001))
    bench.click((2, 1))
    assert bench.mask("second").any()
    assert dice(bench.mask("ball") & ~bench.mask("second"), first & ~bench.mask("second")) == 1


def test_shortcuts_are_named_on_the_buttons_and_live_only_while_the_tab_is_open(bench):
    for name, key in _KEYS.items():
        assert getattr(bench.ui, name).text.endswith(f"({key})")
    live = [shortcut.enabled for shortcut in bench.panel._shortcuts]
    assert all(live) and len(live) == len(_KEYS)
    bench.ui.pointPlusButton.click()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    bench.representation.exit()
    assert not any(shortcut.enabled for shortcut in bench.panel._shortcuts)
    assert not bench.ui.pointPlusButton.checked
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    bench.representation.enter()
    assert all(shortcut.enabled for shortcut in bench.panel._shortcuts)
    bench.module.tabs.setCurrentIndex(0)
    assert not any(shortcut.enabled for shortcut in bench.panel._shortcuts)


def test_prompts_are_in_none_of_the_users_lists(bench):
    bench.ui.pointPlusButton.click()
    bench.click()
    assert active_place_node().GetHideFromEditors()
    shown = [n for n in slicer.util.getNodesByClass("vtkMRMLMarkupsNode") if not n.GetHideFromEditors()]
    shown += [n for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if not n.GetHideFromEditors()]
    assert shown == [bench.segmentation]
    marks = slicer.mrmlScene.GetFirstNodeByName("MedNeXt object")
    assert marks.GetNumberOfControlPoints() == 1
    bench.ui.undoButton.click()
    assert marks.GetNumberOfControlPoints() == 0


@pytest.mark.parametrize("what", ["volume", "segmentation", "segment", "scene"])
def test_what_is_deleted_during_a_refinement_ends_it_without_an_error(bench, what):
    bench.ui.pointPlusButton.click()
    bench.click()
    session = bench.panel.session
    if what == "scene":
        slicer.mrmlScene.Clear(0)
    elif what == "segment":
        bench.segmentation.GetSegmentation().RemoveSegment("ball")
    else:
        slicer.mrmlScene.RemoveNode(getattr(bench, what))
    bench.settle()
    assert session.isClosed
    assert bench.panel.session is None
    assert not bench.ui.undoButton.enabled
    if what == "segment":
        assert bench.ui.segmentSelector.currentText == "second"
    else:
        assert not bench.ui.pointPlusButton.enabled
        assert bench.status.startswith("Choose a")
