"""ROI nodes as regions of the world."""

import numpy as np

from mednextseg.segment.roi import RegionOfInterest
from MedNeXtSegmentLib.Scene.Volumes import arrayFromMatrix


def regionFromROINode(roiNode) -> RegionOfInterest:
    """The box of a markups ROI node (rotated ROIs and parent transforms included), in world RAS.

    Raises:
        ValueError: for an ROI without volume.
    """
    halfSize = np.array(roiNode.GetSize()) / 2
    bounds = np.stack([-halfSize, halfSize], axis=1).ravel()
    return RegionOfInterest(tuple(bounds.tolist()), arrayFromMatrix(roiNode.GetObjectToWorldMatrix()))


def placeROIInVolume(roiNode, volumeNode) -> None:
    """Give an ROI node the middle of the volume and half of its extent along R, A and S (world)."""
    bounds_mm = np.zeros(6)
    volumeNode.GetRASBounds(bounds_mm)
    roiNode.SetCenterWorld((bounds_mm[0::2] + bounds_mm[1::2]) / 2)
    roiNode.SetSize((bounds_mm[1::2] - bounds_mm[0::2]) / 2)
