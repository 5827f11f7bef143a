"""Draws evaluate.png, the Evaluate tab beside slice and 3D views after a click on the worst row, and evaluate-review.png, the same
after a search for the slices in doubt and a click on the first of them.

    PYTHONPATH=MedNeXtSegment:Testing/host python -m pictures.evaluate DATASET CASE Resources/Screenshots

DATASET is the Medical Segmentation Decathlon's Task04 Hippocampus in nnU-Net's layout; CASE a case the model was not trained on. The
prediction is made here, by the bundled model. The window around the panel is the test host, not 3D Slicer.
"""

import argparse
from pathlib import Path

import slicerhost
from pictures.panel import MODEL, MODULE, TIMEOUT_S, save, windowWithViews

FIELD_OF_VIEW_MM = 70
NAMES = {1: "anterior hippocampus", 2: "posterior hippocampus"}


def main() -> None:
    """Segment the case, compare with its reference, click, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("case")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    host = slicerhost.start(qt=True)
    import slicer

    volume = slicer.util.loadVolume(str(options.dataset / "imagesTr" / f"{options.case}_0000.nii.gz"))
    volume.SetName(options.case)
    reference = loadReference(options.dataset / "labelsTr" / f"{options.case}.nii.gz", volume)
    representation = host.load_module(MODULE).widgetRepresentation()
    window, views = windowWithViews(representation)
    representation.enter()
    widget = representation.self()
    test = widget.logic.segment(volume, model=MODEL)
    test.SetName("MedNeXt")
    panel = widget.panel.evaluate
    parameters = panel._parameterNode
    parameters.evaluateReference, parameters.evaluateTest, parameters.evaluateVolume = reference, test, volume
    titles = [widget.panel.tabs.tabText(n) for n in range(widget.panel.tabs.count)]
    widget.panel.tabs.setCurrentIndex(titles.index("Evaluate"))
    for view in views:
        view.show_volume(volume)
        view.center_on((0, 0, 0), FIELD_OF_VIEW_MM)
    panel.ui.evaluateButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    for node in (reference, test):
        node.GetDisplayNode().SetVisibility2DFill(False)
    clickWorstRow(host, panel)
    bounds = [0.0] * 6
    panel.errorMapNode.CreateClosedSurfaceRepresentation()
    panel.errorMapNode.GetRASBounds(bounds)
    for node in (reference, test):
        node.GetDisplayNode().SetVisibility3D(False)
    window.threeDView.look_at(bounds)
    save(host, window, options.folder / "evaluate.png")
    parameters.outputSegmentation = test
    lookFirst(host, widget.panel, volume)
    slicer.mrmlScene.RemoveNode(panel.errorMapNode)
    save(host, window, options.folder / "evaluate-review.png")
    host.unload_modules()


def lookFirst(host, module, volume) -> None:
    """Find the slices in doubt, and click the first one."""
    import qt
    from PySide6 import QtTest

    ui, parameters = module.review.ui, module.review._parameterNode
    parameters.inputVolume, parameters.modelId = volume, MODEL
    for section in (ui.inputsSection, ui.pairsSection):
        section.collapsed = True
    for section in (ui.confusionSection, ui.reviewSection):
        section.collapsed = False
    ui.reviewButton.click()
    host.wait_until(lambda: module.review.run is None, TIMEOUT_S)
    host.process_events()
    place = ui.reviewTable.visualItemRect(ui.reviewTable.item(0, 1)).center()
    QtTest.QTest.mouseClick(ui.reviewTable.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, place)


def loadReference(path: Path, volume):
    """The expert's labels as named segments."""
    import slicer

    from mednextseg.labels.label import Label
    from mednextseg.volume_io import read_volume
    from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, writeLabelsToSegmentation

    labelmap_kji, geometry = read_volume(path)
    node = newSegmentationFor(volume, slicer.mrmlScene.GenerateUniqueName("Expert"))
    colors = {1: (120, 220, 120), 2: (220, 220, 120)}
    labels = [Label(value, name, colors[value]) for value, name in NAMES.items()]
    writeLabelsToSegmentation(labelmap_kji.astype("uint8"), geometry, node, labels)
    return node


def clickWorstRow(host, panel) -> None:
    """A real click on the row with the lowest Dice."""
    import qt
    from PySide6 import QtTest

    table = panel.ui.resultsTable
    row = min(range(table.rowCount), key=lambda n: float(table.item(n, 1).text()))
    place = table.visualItemRect(table.item(row, 1)).center()
    host.process_events()
    QtTest.QTest.mouseClick(table.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, place)


if __name__ == "__main__":
    main()
