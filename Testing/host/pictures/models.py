"""Draws models.png: the Models tab after an import, and the model that came in on the Segment tab.

    PYTHONPATH=MedNeXtSegment:Testing/host:Testing/engine python -m pictures.models Resources/Screenshots

What comes in is a small results folder as nnU-Net writes it, with random weights. It goes into a temporary library, not into yours.
The window around the panel is the test host, not 3D Slicer.
"""

import argparse
import os
import tempfile
from pathlib import Path

from nnunet_folders import v2_folder

import slicerhost
from pictures.panel import MODULE, PANEL_WIDTH, TIMEOUT_S

WINDOW_HEIGHT = 760
LABELS = {"background": 0, "liver": 1, "left kidney": 2}


def main() -> None:
    """Import, then draw both tabs side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mednextseg-") as home:
        os.environ["MEDNEXTSEG_HOME"] = home
        draw(v2_folder(Path(home) / "results", LABELS, len(LABELS)), options.folder / "models.png")


def draw(model: Path, picture: Path) -> None:
    """One picture of two tabs of the same panel."""
    host = slicerhost.start(qt=True)
    import qt

    representation = host.load_module(MODULE).widgetRepresentation()
    representation.resize(PANEL_WIDTH, WINDOW_HEIGHT)
    representation.show()
    representation.enter()
    panel = representation.self().panel
    host.wait_until(lambda: representation.self().logic.worker.hello is not None, TIMEOUT_S)
    titles = [panel.tabs.tabText(n) for n in range(panel.tabs.count)]
    panel.tabs.setCurrentIndex(titles.index("Models"))
    panel.models.choosePath = lambda _kind, _suggestedName="": str(model)
    panel.models.ui.importFolderButton.click()
    host.wait_until(lambda: not panel.models.logic.isBusy, TIMEOUT_S)
    pictures = []
    for title in ("Models", "Segment"):
        panel.tabs.setCurrentIndex(titles.index(title))
        host.process_events()
        pictures.append(representation.grab())
    both = qt.QPixmap(sum(p.width() for p in pictures), WINDOW_HEIGHT)
    painter = qt.QPainter(both)
    for number, part in enumerate(pictures):
        painter.drawPixmap(number * pictures[0].width(), 0, part)
    painter.end()
    if not both.save(str(picture)):
        raise OSError(f"{picture} cannot be written.")
    host.unload_modules()


if __name__ == "__main__":
    main()
