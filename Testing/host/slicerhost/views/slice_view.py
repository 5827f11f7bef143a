"""A slice view of Slicer without Qt: real slice logic, displayable managers and interactor style."""

import slicer
import vtk

from .layout import qMRMLLayoutManager
from .view import View

SLICE_DISPLAYABLE_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
)


_open_views: list["SliceView"] = []


def layout_manager():
    """slicer.app.layoutManager(): None while no slice view is open."""
    return qMRMLLayoutManager(tuple(_open_views)) if _open_views else None


class SliceView(View):
    """One slice view.

    Attributes:
        node: vtkMRMLSliceNode. logic: vtkMRMLSliceLogic.
    """

    def __init__(self, name: str = "Red", orientation: str = "Axial", size=(400, 400)):
        """Make the view and its nodes.

        Args:
            name: layout name, as "Red", "Yellow", "Green" in Slicer.
            orientation: "Axial", "Sagittal" or "Coronal".
            size: (width, height) in pixels.
        """
        self._connection = None
        # In Slicer, CTK's light box draws the slice image; slicer-core has none.
        self._image_mapper = vtk.vtkImageMapper()
        self._image_mapper.SetColorWindow(255)
        self._image_mapper.SetColorLevel(127.5)
        self._image_actor = vtk.vtkActor2D()
        self._image_actor.SetMapper(self._image_mapper)
        self._image_actor.GetProperty().SetDisplayLocationToBackground()
        self._image_actor.SetVisibility(False)
        # The image must be the renderer's first prop, or overlays blend with black.
        super().__init__(slicer.vtkMRMLSliceViewDisplayableManagerFactory, SLICE_DISPLAYABLE_MANAGERS, size, self._image_actor)
        self._add_overlay_renderer()
        application_logic = slicer.app.applicationLogic()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(slicer.mrmlScene)
        self.node = self._take_node(name)
        self.node.SetOrientation(orientation)
        self._logic_tag = self.logic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_logic_modified)
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(self.logic)
        self._start_interaction(style, self.node)
        self.resize(*size)
        _open_views.append(self)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def show_volume(self, volume_node) -> None:
        """Show the volume as background, whole, at a voxel center."""
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume_node.GetID())
        self.logic.ResizeSliceNode(*self.size)
        self.logic.FitSliceToBackground()
        self.logic.SnapSliceOffsetToIJK()

    def center_on(self, ras, field_of_view_mm: float | None = None) -> None:
        """Move the slice and its center to a point, and zoom.

        Args:
            ras: (R, A, S) in mm, world.
            field_of_view_mm: smaller side of the view, in mm; None leaves the zoom.
        """
        self.node.JumpSliceByCentering(*ras)
        if field_of_view_mm is not None:
            width, height = self.size
            mm_per_pixel = field_of_view_mm / min(width, height)
            depth_mm = self.node.GetFieldOfView()[2]
            self.node.SetFieldOfView(width * mm_per_pixel, height * mm_per_pixel, depth_mm)

    def set_plane(self, normal_ras, right_ras, center_ras) -> None:
        """An oblique slice.

        Args:
            normal_ras, right_ras: unit vectors in RAS; right_ras points to the right side of the view.
            center_ras: (R, A, S) in mm, world, at the center of the view.
        """
        self.node.SetSliceToRASByNTP(*normal_ras, *right_ras, *center_ras, 0)

    def xy_to_ras(self, x: float, y: float) -> tuple[float, float, float]:
        """RAS in mm, world, under the pixel (origin bottom left)."""
        return self.node.GetXYToRAS().MultiplyPoint((x, y, 0, 1))[:3]

    def ras_to_xy(self, ras) -> tuple[float, float]:
        """Pixel (origin bottom left) of the point's projection onto the slice; ras in mm, world."""
        ras_to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), ras_to_xy)
        return ras_to_xy.MultiplyPoint((*ras, 1))[:2]

    def click_at(self, ras, button: str = "Left", ctrl: bool = False, shift: bool = False) -> tuple[float, float, float]:
        """Click on the pixel next to a point.

        Args:
            ras: (R, A, S) in mm, world; on the slice and inside the view.

        Returns:
            RAS of the pixel's center, at most half a pixel away.

        Raises:
            ValueError: the point lies outside the view.
        """
        x, y = (round(value) for value in self.ras_to_xy(ras))
        width, height = self.size
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError(f"RAS {tuple(ras)} is at pixel ({x}, {y}), outside the view of {width} x {height}.")
        self.mouse.click(x, y, button, ctrl, shift)
        return self.xy_to_ras(x, y)

    def close(self) -> None:
        _open_views.remove(self)
        self.logic.RemoveObserver(self._logic_tag)
        super().close()
        slicer.app.applicationLogic().GetSliceLogics().RemoveItem(self.logic)
        own_nodes = (
            self.logic.GetSliceModelNode(),
            self.logic.GetSliceModelDisplayNode(),
            self.logic.GetSliceModelTransformNode(),
            self.logic.GetSliceCompositeNode(),
            self.node,
        )
        self.logic.SetMRMLScene(None)  # first: the logic would make new nodes for those that go
        for node in own_nodes:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)

    def _take_node(self, name: str):
        """The scene's slice node of that layout name, as Slicer's layout manager takes it; a new one where there is none.

        Slice nodes survive the closing of a scene. AddSliceNode beside such a node would leave the logic with one outside the scene.
        """
        node = slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")
        if node is None:
            return self.logic.AddSliceNode(name)
        self.logic.SetSliceNode(node)
        return node

    def _add_overlay_renderer(self) -> None:
        # As qMRMLSliceView has it: markups are drawn on layer 1.
        self.top_renderer = vtk.vtkRenderer()
        self.top_renderer.SetLayer(1)
        for renderer in (self.renderer, self.top_renderer):
            renderer.GetActiveCamera().ParallelProjectionOn()
        self.render_window.SetNumberOfLayers(2)
        self.render_window.AddRenderer(self.top_renderer)
        self.render_window.SetAlphaBitPlanes(1)

    def _on_logic_modified(self, *_) -> None:
        connection = self.logic.GetImageDataConnection()
        if connection is not self._connection:
            self._connection = connection
            self._image_mapper.SetInputConnection(connection)
            self._image_actor.SetVisibility(connection is not None)
