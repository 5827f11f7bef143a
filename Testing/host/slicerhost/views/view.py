"""What slice and 3D views share: an off-screen window filled by Slicer's own displayable managers."""

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from . import rendering
from .mouse import ViewMouse


class View:
    """A rendered view without Qt.

    Attributes:
        render_window, renderer, interactor: the VTK objects.
        top_renderer: the renderer drawn last (the same one where there is only one).
        group: vtkMRMLDisplayableManagerGroup; invokes vtkCommand.UpdateEvent when it wants to be rendered.
        mouse: ViewMouse; pixels, origin bottom left.
    """

    def __init__(self, factory_class, displayable_managers, size=(400, 400), background_prop=None):
        """Make the window.

        Args:
            factory_class: Slicer's factory of displayable managers for this kind of view.
            displayable_managers: class names; those that slicer-core does not know raise.
            size: (width, height) in pixels.
            background_prop: prop to be drawn before everything that the managers add.
        """
        rendering.choose_window_class()
        self.render_window = vtk.vtkRenderWindow()
        self.render_window.SetOffScreenRendering(1)
        self.render_window.SetMultiSamples(0)
        self.render_window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        if background_prop is not None:
            self.renderer.AddViewProp(background_prop)
        self.render_window.AddRenderer(self.renderer)
        self.top_renderer = self.renderer
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.render_window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.interactor.Initialize()
        self.mouse = ViewMouse(self.interactor)
        factory = factory_class.GetInstance()
        for name in displayable_managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(getattr(slicer, name).__name__)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)
        self._style = None

    def _start_interaction(self, style, node) -> None:
        """Hand the view node to the managers and the mouse to Slicer's interactor style."""
        self._style = style
        style.SetDisplayableManagers(self.group)
        style.SetInteractor(self.interactor)
        self.group.SetMRMLDisplayableNode(node)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return tuple(self.render_window.GetSize())

    def resize(self, width: int, height: int) -> None:
        """Give the view another size in pixels."""
        self.render_window.SetSize(width, height)
        self.interactor.UpdateSize(width, height)

    def picture(self) -> np.ndarray:
        """Render, and return the pixels: (height, width, 3) uint8, RGB, top row first."""
        self.interactor.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.render_window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()  # what was rendered is there; by default it renders again
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        bottom_up = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return np.ascontiguousarray(bottom_up[::-1])

    def close(self) -> None:
        """Let go of the scene and of the graphics resources. The view cannot be used afterwards."""
        self._style.SetInteractor(None)
        # As Slicer's views do: the displayable managers go with the last reference to their group.
        self._style = None
        self.group = None
        self.render_window.Finalize()
