"""Draws the picture of the Refine tab: clicks on a lateral ventricle of the MNI152 head, and the preview of its propagation.

    PYTHONPATH=MedNeXtSegment:Testing/host python Testing/host/refine_screenshot.py VOLUME Resources/Screenshots/refine.png

VOLUME is the T1 template that the package nilearn carries (datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz).
The panel, the worker process, the clicks and what the views show are real; the window around them is the test host, not 3D Slicer.
"""

import argparse
from pathlib import Path

import slicerhost
from panel_screenshots import MODULE, TIMEOUT_S, save, windowWithViews

# Inside the right lateral ventricle and in the white matter beside it (RAS mm).
INSIDE_RAS, BESIDE_RAS, FIELD_OF_VIEW_MM = (10, -20, 24), (24, -20, 24), 110


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("volume", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    picture = options.picture
    host = slicerhost.start(qt=True)
    import slicer

    volume = slicer.util.loadVolume(str(options.volume))
    volume.SetName("MNI152 T1")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Ventricles")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("", "Right lateral ventricle")
    widget = host.load_module(MODULE).widgetRepresentation()
    window, views = windowWithViews(widget)
    widget.enter()
    module = widget.self().panel
    parameters = module.refine._parameterNode
    parameters.inputVolume, parameters.outputSegmentation = volume, segmentation
    module.tabs.setCurrentIndex(1)
    for view in views:
        view.show_volume(volume)
        view.center_on(INSIDE_RAS, FIELD_OF_VIEW_MM)
    save(host, window, picture)
    host.wait_until(lambda: widget.self().logic.worker.hello is not None, TIMEOUT_S)
    panel, axial = module.refine, views[0]
    for button, point in ((panel.ui.pointPlusButton, INSIDE_RAS), (panel.ui.pointMinusButton, BESIDE_RAS)):
        button.click()
        axial.click_at(point)
        host.process_events()
        host.wait_until(lambda: panel.session is not None and not panel.session.isBusy, TIMEOUT_S)
    panel.ui.slicesSpinBox.setValue(8)
    panel.ui.propagateButton.click()
    host.wait_until(lambda: not panel.session.isBusy, TIMEOUT_S)
    panel.ui.pointMinusButton.click()
    segmentation.CreateClosedSurfaceRepresentation()
    bounds = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    window.threeDView.look_at(bounds)
    save(host, window, picture)
    host.unload_modules()


if __name__ == "__main__":
    main()
