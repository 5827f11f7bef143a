"""The slice views, and what all of them show."""

from collections.abc import Sequence

import slicer


def jumpSlicesTo(place_ras: Sequence[float]) -> None:
    """Bring a point (world RAS in mm) into the middle of every slice view."""
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *place_ras, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


def sliceViews() -> list[tuple]:
    """The vtkRenderWindowInteractor and the vtkMRMLSliceNode of each slice view of the layout; empty without a main window."""
    layout = slicer.app.layoutManager()
    widgets = [layout.sliceWidget(name) for name in layout.sliceViewNames()] if layout is not None else []
    return [(widget.sliceView().interactor(), widget.mrmlSliceNode()) for widget in widgets]
