"""A 3D view of Slicer without Qt: real view logic, displayable managers and interactor style."""

import numpy as np
import slicer

from .view import View

THREE_D_DISPLAYABLE_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
)


class ThreeDView(View):
    """One 3D view.

    Attributes:
        node: vtkMRMLViewNode. logic: vtkMRMLViewLogic.
    """

    def __init__(self, name: str = "1", size=(400, 400)):
        """Make the view and its nodes.

        Args:
            name: layout name, "1" for Slicer's first 3D view.
            size: (width, height) in pixels.
        """
        super().__init__(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, THREE_D_DISPLAYABLE_MANAGERS, size)
        application_logic = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self.logic.AddViewNode(name)
        self._start_interaction(slicer.vtkMRMLThreeDViewInteractorStyle(), self.node)

    def look_at(self, bounds_ras, from_direction_ras=(-0.5, 0.75, 0.45)) -> None:
        """Fill the view with a box.

        Args:
            bounds_ras: (R min, R max, A min, A max, S min, S max) in mm.
            from_direction_ras: where the camera stands, seen from the box; by default at the front, on the patient's
                left, and above.
        """
        bounds = np.asarray(bounds_ras, float).reshape(3, 2)
        center = bounds.mean(axis=1)
        direction = np.asarray(from_direction_ras, float) / np.linalg.norm(from_direction_ras)
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(*center)
        camera.SetPosition(*(center + 100 * direction))
        camera.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera(*bounds.ravel())

    def close(self) -> None:
        super().close()
        slicer.app.applicationLogic().GetViewLogics().RemoveItem(self.logic)
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            if camera.GetLayoutName() == self.node.GetLayoutName():
                slicer.mrmlScene.RemoveNode(camera)
        slicer.mrmlScene.RemoveNode(self.node)
        self.logic.SetMRMLScene(None)
