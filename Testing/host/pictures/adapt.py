"""Draws adapt.png: the Adapt tab after a training of a minute, with its curves and the verdict.

    PYTHONPATH=MedNeXtSegment:Testing/host:Testing/engine python -m pictures.adapt Resources/Screenshots

The cases are balls in noise and the model is a tiny network; both go into a temporary folder. The window is the test host, not 3D Slicer.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
from tiny_models import ball, tiny_mednext, write_package

import slicerhost
from pictures.panel import MODULE, PANEL_WIDTH, TIMEOUT_S

WINDOW_HEIGHT = 1000
SHAPE_KJI = (16, 16, 32)
MINUTES = 0.5


def main() -> None:
    """Train, then draw the tab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mednextseg-") as home:
        os.environ["MEDNEXTSEG_HOME"] = home
        write_package(Path(home) / "models" / "tiny", tiny_mednext(num_classes=2), ("Ball",), title="Balls")
        draw(options.folder / "adapt.png")


def draw(picture: Path) -> None:
    """The picture of a finished run."""
    host = slicerhost.start(qt=True)
    from MedNeXtSegmentLib.Adapt.SceneCases import setSceneCases

    representation = host.load_module(MODULE).widgetRepresentation()
    representation.resize(PANEL_WIDTH, WINDOW_HEIGHT)
    representation.show()
    representation.enter()
    panel = representation.self().panel
    panel.tabs.setCurrentIndex([panel.tabs.tabText(n) for n in range(panel.tabs.count)].index("Adapt"))
    host.wait_until(lambda: representation.self().logic.worker.hello is not None, TIMEOUT_S)
    panel.adapt._parameterNode.adaptModelId, panel.adapt._parameterNode.adaptMinutes = "tiny", MINUTES
    setSceneCases(panel.adapt._parameterNode, [_case(number) for number in range(3)])
    panel.adapt.ui.startButton.click()
    host.wait_until(lambda: panel.adapt.run is None, TIMEOUT_S)
    host.process_events()
    if not representation.grab().save(str(picture)):
        raise OSError(f"{picture} cannot be written.")
    host.unload_modules()


def _case(number: int) -> tuple:
    """A ball in noise, and the ball as it was drawn."""
    import slicer

    from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, setSegmentMask
    from MedNeXtSegmentLib.Scene.Volumes import placementOf

    rng = np.random.default_rng(number)
    mask = ball(SHAPE_KJI, rng.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5))
    voxels = (100 * mask + rng.normal(0, 20, SHAPE_KJI)).astype(np.float32)
    volume = slicer.util.addVolumeFromArray(voxels, name=f"Scan {number}")
    node = newSegmentationFor(volume, f"drawn {number}")
    setSegmentMask(mask, placementOf(volume), node, node.GetSegmentation().AddEmptySegment("", "ball"))
    return volume, node


if __name__ == "__main__":
    main()
