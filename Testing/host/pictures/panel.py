"""Draws the pictures of docs/tutorial.md: the module's panel beside slice and 3D views, before, during and after a run.

    PYTHONPATH=MedNeXtSegment:Testing/host python -m pictures.panel Resources/Screenshots

The panel, the worker process, the scene and what the views show are real; the window around them is the test host, not 3D Slicer.
"""

import argparse
import importlib.util
from pathlib import Path

import slicerhost

MODULE = Path(__file__).parents[3] / "MedNeXtSegment" / "MedNeXtSegment.py"
MODEL = "hippocampus-mr"
# A box around the right hippocampus of the MNI152 head (RAS mm).
ROI_CENTER_RAS, ROI_SIZE_MM = (26, -23, -13), (36, 50, 42)
WINDOW_SIZE, PANEL_WIDTH, FIELD_OF_VIEW_MM = (1500, 1120), 470, 120
TIMEOUT_S = 900


def templatePath() -> Path:
    """The T1 head of the demo, inside the installed package nilearn."""
    folder = importlib.util.find_spec("nilearn").submodule_search_locations[0]
    return Path(folder) / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def panelWithTemplate(host) -> tuple:
    """(volume node, module widget, window, slice views): the T1 template in the scene, and the panel entered beside the views."""
    import slicer

    volume = slicer.util.loadVolume(str(templatePath()))
    volume.SetName("MNI152 T1")
    widget = host.load_module(MODULE).widgetRepresentation()
    window, views = windowWithViews(widget)
    widget.enter()
    return volume, widget, window, views


def main() -> None:
    """Write panel-inputs.png, panel-running.png and panel-results.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    host = slicerhost.start(qt=True)
    volume, widget, window, views = panelWithTemplate(host)
    panel = widget.self().panel.segment
    chooseInputs(panel, volume)
    for view in views:
        view.show_volume(volume)
        view.center_on(ROI_CENTER_RAS, FIELD_OF_VIEW_MM)
    host.wait_until(lambda: widget.self().logic.worker.hello is not None, TIMEOUT_S)
    save(host, window, folder / "panel-inputs.png")
    panel.ui.applyButton.click()
    run = panel.run
    host.wait_until(lambda: run.isFinished or (run.progress is not None and run.progress.fraction > 0.3), TIMEOUT_S)
    save(host, window, folder / "panel-running.png")
    host.wait_until(lambda: run.isFinished, TIMEOUT_S)
    if run.error is not None:
        raise run.error
    bounds = [0.0] * 6
    run.segmentationNode.GetRASBounds(bounds)
    window.threeDView.look_at(bounds)
    panel._parameterNode.roi.SetDisplayVisibility(False)
    save(host, window, folder / "panel-results.png")
    host.unload_modules()


def windowWithViews(panelWidget):
    """A window with the panel on the left and Slicer's conventional four views on the right; and its slice views."""
    import qt

    from slicerhost.views.qt_views import ViewWidget
    from slicerhost.views.screenshot import SLICE_COLORS
    from slicerhost.views.slice_view import SliceView
    from slicerhost.views.three_d_view import ThreeDView

    class Window(qt.QWidget):
        threeDView = None

    window = Window()
    window.setWindowTitle("MedNeXtSegment on the test host, not 3D Slicer")
    row, grid = qt.QHBoxLayout(window), qt.QGridLayout()
    panelWidget.setFixedWidth(PANEL_WIDTH)
    row.addWidget(panelWidget)
    row.addLayout(grid)
    places = {"Axial": ("Red", 0, 0), "Coronal": ("Green", 1, 0), "Sagittal": ("Yellow", 1, 1)}
    views = []
    for orientation, (name, line, column) in places.items():
        view = SliceView(name, orientation)
        view.node.SetLayoutColor(*SLICE_COLORS[orientation])
        views.append(view)
        grid.addWidget(ViewWidget(view), line, column)
    Window.threeDView = ThreeDView()
    grid.addWidget(ViewWidget(Window.threeDView), 0, 1)
    window.resize(*WINDOW_SIZE)
    window.show()
    return window, views


def chooseInputs(panel, volume) -> None:
    """What a user would click together."""
    parameters = panel._parameterNode
    parameters.inputVolume = volume
    parameters.modelId = MODEL
    roi = panel.ui.roiSelector.addNode()
    roi.SetCenter(ROI_CENTER_RAS)
    roi.SetSize(ROI_SIZE_MM)
    roi.CreateDefaultDisplayNodes()
    roi.GetDisplayNode().SetFillOpacity(0.15)
    roi.GetDisplayNode().SetPropertiesLabelVisibility(False)
    parameters.roi = roi


def save(host, window, path: Path) -> None:
    """Let everything be drawn, then write the window."""
    from slicerhost.views.qt_views import ViewWidget

    host.process_events()
    for view in window.findChildren(ViewWidget):
        view.render_now()
    host.process_events()
    if not window.grab().save(str(path)):
        raise OSError(f"{path} cannot be written.")


if __name__ == "__main__":
    main()
