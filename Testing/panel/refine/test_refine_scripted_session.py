"""The whole way on a real image: automatic result, three clicks in three planes (one oblique), propagate, undo twice, redo."""

import json

import numpy as np
import pytest
import slicer
from scipy import ndimage

from mednextseg.refine.slices.slice_plane import cut_thickness_mm
from mednextseg.volume_io import read_volume
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from refine_bench import TIMEOUT_S, useRandomWalker

MODEL, LABEL_VALUE = "hippocampus-mr", 1
OBLIQUE_NORMAL = np.array([0.3, 0.5, 0.81])


class Session:
    """A hippocampus of the validation list in the panel, and the axial, coronal and oblique view on it.

    Attributes:
        truth_kji: where the experts saw the segment, on the volume's grid.
    """

    def __init__(self, host, representation, views, folder):
        name = json.loads((folder / "splits_final.json").read_text())[0]["val"][0]
        self.host, self.views = host, views
        self.module = representation.self().panel
        self.volume = slicer.util.loadVolume(str(folder / "imagesTr" / f"{name}_0000.nii.gz"))
        voxels, self.geometry = arrayAndGeometryFromVolume(self.volume)
        truth_kji, geometry = read_volume(folder / "labelsTr" / f"{name}.nii.gz")
        assert geometry.matches(self.geometry) and truth_kji.shape == voxels.shape
        self.truth_kji = truth_kji == LABEL_VALUE
        self.tools = self.module.refine.tools

    def applyTheModel(self) -> None:
        """Press Apply in the Segment tab and wait for the result."""
        panel = self.module.segment
        panel._parameterNode.inputVolume, panel._parameterNode.modelId = self.volume, MODEL
        panel.ui.applyButton.click()
        self.host.wait_until(lambda: panel.run is None, TIMEOUT_S)
        self.segmentation = panel._parameterNode.outputSegmentation
        assert self.segmentation is not None, panel.ui.statusLabel.text
        self.module.tabs.setCurrentIndex(1)

    @property
    def mask(self) -> np.ndarray:
        segmentId = self.module.refine._segmentId()
        return slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, segmentId, self.volume) > 0

    def correct(self, view) -> tuple[np.ndarray, bool]:
        """Click where the segment is most wrong, in this view; returns the voxel (K, J, I) and whether the object is there."""
        depth = ndimage.distance_transform_edt(np.pad(self.mask ^ self.truth_kji, 1))[1:-1, 1:-1, 1:-1]
        kji = np.array(np.unravel_index(depth.argmax(), depth.shape))
        isObject = bool(self.truth_kji[tuple(kji)])
        point = self.geometry.ras_from_ijk(kji[::-1].astype(float))
        if view.node.GetOrientation() == "Reformat":
            right = np.cross((0, 1, 0), OBLIQUE_NORMAL)
            view.set_plane(OBLIQUE_NORMAL / np.linalg.norm(OBLIQUE_NORMAL), right / np.linalg.norm(right), point)
        view.center_on(point, field_of_view_mm=50)
        view.picture()
        (self.tools.ui.pointPlusButton if isObject else self.tools.ui.pointMinusButton).setChecked(True)
        view.click_at(point)
        self.settle()
        return kji, isObject

    def settle(self) -> None:
        self.host.process_events()
        self.host.wait_until(lambda: not self.tools.isBusy, TIMEOUT_S)
        self.host.process_events()


@pytest.fixture
def session(host, representation, make_slice_view, shared_data, monkeypatch):
    useRandomWalker(monkeypatch)
    views = [make_slice_view("Red", "Axial"), make_slice_view("Green", "Coronal"), make_slice_view("Yellow", "Sagittal")]
    session = Session(host, representation, views, shared_data / "hippocampus")
    for view in views:
        view.show_volume(session.volume)
    views[2].set_plane(OBLIQUE_NORMAL / np.linalg.norm(OBLIQUE_NORMAL), (0.94, 0.0, -0.35), (0.0, 0.0, 0.0))
    views[2].node.SetOrientation("Reformat")
    return session


def test_automatic_result_three_clicks_in_three_planes_propagation_undo_and_redo(session):
    session.applyTheModel()
    masks = [session.mask]
    assert 2 * (masks[0] & session.truth_kji).sum() / (masks[0].sum() + session.truth_kji.sum()) > 0.8
    normals = []
    for view in session.views:
        kji, isObject = session.correct(view)
        masks.append(session.mask)
        plane = session.tools.session.activePlane
        normals.append(plane.normal_ras)
        assert masks[-1][tuple(kji)] == isObject, session.tools.ui.refineStatusLabel.text
        changed = session.geometry.ras_from_ijk(np.argwhere(masks[-1] ^ masks[-2])[:, ::-1].astype(float))
        reach_mm = cut_thickness_mm(session.geometry, plane.normal_ras) / 2
        assert len(changed) and np.abs(plane.distance_mm(changed)).max() <= reach_mm + 1e-3
    assert abs(np.linalg.det(normals)) > 0.1  # three different planes
    assert np.abs(normals[2]).max() < 0.9  # the third is oblique
    session.tools.ui.propagateButton.click()
    session.settle()
    assert session.tools.session.preview() is not None, session.tools.ui.refineStatusLabel.text
    assert np.array_equal(session.mask, masks[3])
    session.tools.ui.undoButton.click()
    assert session.tools.session.preview() is None and np.array_equal(session.mask, masks[3])
    session.tools.ui.undoButton.click()
    assert np.array_equal(session.mask, masks[2])
    session.tools.ui.redoButton.click()
    assert np.array_equal(session.mask, masks[3])
    assert len(session.tools.session.journal.entries) == 7  # three points, propagate, undo, undo, redo
