"""A ball to be corrected by prompts on a real scene."""

import numpy as np
import slicer

from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume

SHAPE_KJI = (24, 44, 48)
CENTER_MM = np.array([2.0, -3.0, 4.0])  # of the object, in the volume's own RAS
RADIUS_MM = 11.0
OBLIQUE = (0.3, 0.5, 0.8)
WALKER = "random_walker"


class Case:
    """A bright ball in a noisy volume of anisotropic voxels, and a segmentation with the empty segments "ball" and "other"."""

    def __init__(self, parent=None):
        spacing_mm = np.array([1.0, 1.1, 1.8])
        ijk_to_ras = np.diag([*(spacing_mm * (-1, -1, 1)), 1.0])
        ijk_to_ras[:3, 3] = CENTER_MM - ijk_to_ras[:3, :3] @ (np.array(SHAPE_KJI[::-1]) / 2 - (0.3, 0.1, 0.4))
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3]
        self.truth_kji = np.linalg.norm(points - CENTER_MM, axis=-1) < RADIUS_MM
        voxels = 100 + 80 * self.truth_kji + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)
        self.volume = slicer.util.addVolumeFromArray(voxels.astype(np.float32), ijkToRAS=ijk_to_ras, name="CT")
        self.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segments")
        self.segmentation.CreateDefaultDisplayNodes()
        self.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        for name in ("ball", "other"):
            self.segmentation.GetSegmentation().AddEmptySegment(name, name)
        self.parent = np.eye(4) if parent is None else parent
        if parent is not None:
            transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
            transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(parent))
            self.volume.SetAndObserveTransformNodeID(transform.GetID())
            self.segmentation.SetAndObserveTransformNodeID(transform.GetID())

    def world(self, offset_mm=(0.0, 0.0, 0.0)) -> np.ndarray:
        """The ball's center, moved by mm in the volume's own RAS, in world RAS."""
        return (self.parent @ [*(CENTER_MM + offset_mm), 1.0])[:3]

    def mask(self, name: str = "ball") -> np.ndarray:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(self.segmentation, name, self.volume)
        return np.zeros(SHAPE_KJI, bool) if array is None else array > 0

    def put(self, name: str, mask_kji: np.ndarray) -> None:
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask_kji.astype(np.uint8), self.segmentation, name, self.volume)

    def near(self, normal, half_mm: float) -> np.ndarray:
        """Voxels whose center lies within half_mm of the plane through the ball's center; `normal` in world RAS."""
        _, geometry = arrayAndGeometryFromVolume(self.volume)
        k, j, i = np.indices(SHAPE_KJI)
        points = np.stack([i, j, k], axis=-1) @ geometry.ijk_to_ras[:3, :3].T + geometry.ijk_to_ras[:3, 3]
        return np.abs((points - self.world()) @ (np.array(normal) / np.linalg.norm(normal))) <= half_mm

    def editor(self):
        """The settings of Slicer's own Segment Editor."""
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag("SegmentEditor")
        node = slicer.mrmlScene.AddNode(node)
        node.SetAndObserveSegmentationNode(self.segmentation)
        return node


def dice(a, b) -> float:
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)
