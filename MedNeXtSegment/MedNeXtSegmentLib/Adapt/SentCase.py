"""A volume and what was drawn on it, as the worker's operations "adapt" and "collect_case" want them."""

from collections.abc import Sequence

import numpy as np
from slicer.i18n import tr as _

from mednextseg.geometry import Geometry
from MedNeXtSegmentLib.Scene.Segmentations import maskAndGeometryOfSegments


def sentCase(
    number: int, name: str, channels: Sequence[tuple[np.ndarray, Geometry]], segmentationNode
) -> tuple[dict, dict[str, np.ndarray]]:
    """Describe a case.

    Args:
        number: of the case in its request, from 0.
        name: of the case.
        channels: (K, J, I) array and Geometry of each.
        segmentationNode: vtkMRMLSegmentationNode.
    Returns:
        The description, and the arrays that go with it, by the names of their parameters.
    Raises:
        ValueError: for a segmentation without segments.
    """
    arrays = {f"image_{number}_{channel}": array_kji for channel, (array_kji, _geometry) in enumerate(channels)}
    segmentation, segments = segmentationNode.GetSegmentation(), []
    for index in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(index)
        mask = maskAndGeometryOfSegments(segmentationNode, [segmentId])
        matrix = None if mask is None else mask[1].ijk_to_ras.tolist()
        segments.append({"name": segmentation.GetSegment(segmentId).GetName(), "ijk_to_ras": matrix})
        if mask is not None:
            arrays[f"segment_{number}_{index}"] = mask[0]
    if not segments:
        raise ValueError(_("{name} has no segments; draw one at the least.").format(name=repr(segmentationNode.GetName())))
    return {
        "name": name,
        "images": [geometry.ijk_to_ras.tolist() for _array, geometry in channels],
        "segments": segments,
    }, arrays
