"""What all slice views show."""

from collections.abc import Sequence

import slicer


def jumpSlicesTo(place_ras: Sequence[float]) -> None:
    """Bring a point (world RAS in mm) into the middle of every slice view."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place_ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
