"""Draws the picture of the Refine tab: an automatic result, a click in each of three planes (one oblique), a propagation as preview.

    PYTHONPATH=MedNeXtSegment:Testing/host python -m pictures.refine Resources/Screenshots/refine.png [--prompter NAME]

The volume is the T1 template that the package nilearn carries, the model the bundled one. The panel, the worker process, the clicks and
what the views show are real; the window around them is the test host, not 3D Slicer.
"""

import argparse
from pathlib import Path

import numpy as np

import slicerhost
from pictures.panel import TIMEOUT_S, chooseInputs, panelWithTemplate, save

FIELD_OF_VIEW_MM = 75
# On the right posterior hippocampus of the MNI152 head, one point for each view (RAS mm), and beside it on the axial slice.
INSIDE_RAS, BESIDE_RAS = ((27, -35, -5), (29, -28, -11), (27, -30, -9)), (36, -38, -5)
OBLIQUE_NORMAL = np.array([0.35, 0.62, 0.7])


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument(
        "--prompter", default="", help='"clicknet", "random_walker" or a package folder; default: as the panel does'
    )
    options = parser.parse_args()
    host = slicerhost.start(qt=True)

    from MedNeXtSegmentLib.Refine import RefineLogic

    if options.prompter:
        RefineLogic.defaultPrompter = lambda: options.prompter
    volume, widget, window, views = panelWithTemplate(host)
    module = widget.self().panel
    host.wait_until(lambda: widget.self().logic.worker.hello is not None, TIMEOUT_S)
    segmentation = applyTheModel(host, module.segment, volume)
    module.tabs.setCurrentIndex(1)
    module.refine.ui.segmentSelector.setCurrentIndex(1)
    tools = module.refine.tools
    for view, point in zip(views, INSIDE_RAS, strict=True):
        view.show_volume(volume)
        view.center_on(point, FIELD_OF_VIEW_MM)
    right = np.cross((0, 1, 0), OBLIQUE_NORMAL)
    views[2].set_plane(OBLIQUE_NORMAL / np.linalg.norm(OBLIQUE_NORMAL), right / np.linalg.norm(right), INSIDE_RAS[2])
    save(host, window, options.picture)
    tools.ui.pointPlusButton.click()
    wait(host, tools)
    for view, point in zip(views[::-1], INSIDE_RAS[::-1], strict=True):
        view.click_at(point)
        wait(host, tools)
    tools.ui.pointMinusButton.click()
    views[0].click_at(BESIDE_RAS)
    wait(host, tools)
    tools.ui.slicesAheadSpinBox.setValue(4)
    tools.ui.slicesBackSpinBox.setValue(4)
    tools.ui.propagateButton.click()
    wait(host, tools)
    segmentation.CreateClosedSurfaceRepresentation()
    bounds = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    window.threeDView.look_at(bounds)
    save(host, window, options.picture)
    host.unload_modules()


def applyTheModel(host, panel, volume):
    """Press Apply in the Segment tab and wait; returns the segmentation."""
    chooseInputs(panel, volume)
    panel.ui.applyButton.click()
    run = panel.run
    host.wait_until(lambda: run.isFinished, TIMEOUT_S)
    if run.error is not None:
        raise run.error
    panel._parameterNode.roi.SetDisplayVisibility(False)
    return run.segmentationNode


def wait(host, tools) -> None:
    """Until what was asked for is done."""
    host.process_events()
    host.wait_until(lambda: not tools.isBusy, TIMEOUT_S)
    host.process_events()


if __name__ == "__main__":
    main()
