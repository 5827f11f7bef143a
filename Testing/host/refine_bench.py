"""What the tests of the Refine tools share: a ball to be segmented, the tab in front, and a mouse in a rendered slice view."""

import numpy as np
import slicer

from MedNeXtSegmentLib.Refine import RefineLogic as refineLogicModule

TIMEOUT_S = 120
SHAPE_KJI = (30, 40, 40)
CENTER_RAS = np.array([3.0, -4.0, 5.0])
CENTRE_RAS = CENTER_RAS  # the name that scripts outside the project import
RADIUS_MM = 12.0


def useRandomWalker(monkeypatch) -> None:
    """Whether a network is bundled or not, clicks are answered by the method that needs none."""
    monkeypatch.setattr(refineLogicModule, "defaultPrompter", lambda: "random_walker")


class Bench:
    """The Refine tab in front, a bright ball in a volume, empty segments "ball" and "second", and a slice view."""

    def __init__(self, host, representation, view):
        self.host, self.representation, self.view = host, representation, view
        self.module = representation.self().panel
        self.panel, self.tools = self.module.refine, self.module.refine.tools
        self.inputs, self.ui = self.panel.ui, self.tools.ui
        ijk_to_ras = np.diag([1.2, 1.2, 1.6, 1.0])
        ijk_to_ras[:3, 3] = CENTER_RAS - ijk_to_ras[:3, :3] @ np.array([19.7, 20.2, 14.9])
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
        self.truth = np.linalg.norm(points - CENTER_RAS, axis=-1) < RADIUS_MM
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
            self.view.set_plane(normal, np.cross((0, 1, 0), normal) / np.linalg.norm(np.cross((0, 1, 0), normal)), CENTER_RAS)
        self.view.center_on(CENTER_RAS, field_of_view_mm=60)
        self.view.picture()

    def click(self, offset_mm=(0.0, 0.0)):
        """Click that far right of and above the ball's center on the screen, and wait for the answer."""
        self.clickWithoutWaiting(offset_mm)
        self.settle()

    def clickWithoutWaiting(self, offset_mm=(0.0, 0.0)):
        """As `click`, for a user who is faster than the network."""
        plane = slicer.util.arrayFromVTKMatrix(self.view.node.GetSliceToRAS())
        self.view.click_at(CENTER_RAS + offset_mm[0] * plane[:3, 0] + offset_mm[1] * plane[:3, 1])

    def draw(self, offsets_mm):
        """Press, move and release along places that far right of and above the ball's center, and wait for the answer."""
        plane = slicer.util.arrayFromVTKMatrix(self.view.node.GetSliceToRAS())
        places = [self.view.ras_to_xy(CENTER_RAS + x * plane[:3, 0] + y * plane[:3, 1]) for x, y in offsets_mm]
        self.view.mouse.move(*places[0])
        self.view.mouse.press(*places[0])
        for place in places[1:]:
            self.view.mouse.move(*place)
        self.view.mouse.release(*places[-1])
        self.settle()

    def settle(self):
        self.host.process_events()
        self.host.wait_until(lambda: not self.tools.isBusy, TIMEOUT_S)
        self.host.process_events()

    def mask(self, name="ball"):
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, name, self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    @property
    def status(self):
        return self.ui.refineStatusLabel.text


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


def slabOf(mask):
    """The K layers that a mask has voxels in."""
    slab = np.zeros(mask.shape, bool)
    slab[mask.any(axis=(1, 2))] = True
    return slab
