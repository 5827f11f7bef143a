"""Draws the picture of a whole object: a stroke, the object as a preview, one slice corrected, gone on with, and snapped to edges.

    PYTHONPATH=MedNeXtSegment:Testing/host python -m pictures.whole_object Resources/Screenshots/refine-whole-object.png

The volume is the T1 template that the package nilearn carries, the object its right lateral ventricle. As in pictures/refine.py all but
the window is real.
"""

import argparse
from pathlib import Path

import numpy as np

import slicerhost
from pictures.panel import TIMEOUT_S, panelWithTemplate, save
from pictures.refine import wait

FIELD_OF_VIEW_MM = 100
# Along the body of the right lateral ventricle of the MNI152 head, on one axial slice (RAS mm).
STROKE_RAS = np.array([(12, 0, 24), (10.5, -6, 24), (11, -13, 24), (13, -20, 24), (16, -26, 24)], float)
BESIDE_RAS, BESIDE_MM = (-7, 6, 16), 7.0  # the left ventricle, where the object leaks


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    picture = parser.parse_args().picture
    host = slicerhost.start(qt=True)
    import slicer

    volume, widget, window, views = panelWithTemplate(host)
    module = widget.self().panel
    host.wait_until(lambda: widget.self().logic.worker.hello is not None, TIMEOUT_S)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "MNI152 T1 segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("ventricle", "right lateral ventricle", (0.4, 0.7, 1.0))
    module.tabs.setCurrentIndex(1)
    parameters = module.refine._parameterNode
    parameters.inputVolume, parameters.outputSegmentation = volume, segmentation
    tools = module.refine.tools
    for view in views:
        view.show_volume(volume)
        view.center_on(STROKE_RAS[2], FIELD_OF_VIEW_MM)
    save(host, window, picture)
    draw(host, tools, views[0], tools.ui.scribblePlusButton, STROKE_RAS)
    press(host, tools, tools.ui.wholeObjectButton)
    views[0].center_on((5, -8, BESIDE_RAS[2]), FIELD_OF_VIEW_MM)
    save(host, window, picture)
    around = [(-1, -1), (-1, 1), (1, 1), (1, -1)]
    corners = BESIDE_RAS + BESIDE_MM * np.array([(*place, 0.0) for place in around])
    draw(host, tools, views[0], tools.ui.lassoMinusButton, corners)
    press(host, tools, tools.ui.wholeObjectButton)
    press(host, tools, tools.ui.snapButton)
    print(tools.ui.refineStatusLabel.text)
    preview = tools.session.preview()
    print(f"{preview[0].sum()} voxels in the preview, {len(tools.session.previewSlices())} slices")
    save(host, window, picture)
    host.unload_modules()


def draw(host, tools, view, button, pointsRAS: np.ndarray) -> None:
    """Choose a tool, and press, move and release the mouse along places."""
    button.click()
    wait(host, tools)
    places = [view.ras_to_xy(point) for point in pointsRAS]
    view.mouse.move(*places[0])
    view.mouse.press(*places[0])
    for place in places[1:]:
        view.mouse.move(*place)
    view.mouse.release(*places[-1])
    wait(host, tools)


def press(host, tools, button) -> None:
    """A button, until what it asks for is done."""
    button.click()
    wait(host, tools)


if __name__ == "__main__":
    main()
