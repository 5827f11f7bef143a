"""What the tests of the Models tab do with a panel: import, wait, look, and run a model that came in."""

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file
from tiny_models import tiny_mednext

TIMEOUT_S = 300


def emptied(home: Path) -> None:
    """A computer on which nothing was installed yet."""
    shutil.rmtree(home)
    home.mkdir()


def ended(host, library) -> str:
    """Wait for the change under way; returns what the panel then says."""
    host.wait_until(lambda: not library.logic.isBusy, TIMEOUT_S)
    assert library.ui.progressBar.isHidden() and library.ui.cancelButton.isHidden()
    return library.ui.statusLabel.text


def importedFrom(host, library, path: Path) -> str:
    """Click "Import file..." or "Import folder..." and choose the path."""
    library.choosePath = lambda kind, suggestedName="": str(path)
    (library.ui.importFolderButton if path.is_dir() else library.ui.importFileButton).click()
    assert not library.ui.progressBar.isHidden() and not library.ui.importFileButton.enabled
    return ended(host, library)


def namesShown(library) -> list[str]:
    return [model.name for model in library._models]


def filesOf(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def ranOn(host, widget, volume):
    """Apply on the Segment tab; returns the segmentation."""
    panel = widget.panel.segment
    panel._parameterNode.inputVolume = volume
    assert panel.ui.applyButton.enabled, panel.ui.applyButton.toolTip
    panel.ui.applyButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.statusLabel.text.startswith("Done in"), panel.ui.statusLabel.text
    return panel._parameterNode.outputSegmentation


def writeStateDictWithCard(folder: Path) -> Path:
    """Weights as somebody trained them, and the card that describes them beside the file."""
    folder.mkdir()
    save_file(tiny_mednext(seed=1).state_dict(), folder / "mine.safetensors")
    card = {
        "id": "mine",
        "version": "2.1",
        "title": "My own network",
        "task": "segment",
        "channels": [{"name": "MR", "modality": "MR", "normalization": {"scheme": "zscore"}}],
        "labels": [{"value": v, "name": n, "color": [40 * v, 200, 90]} for v, n in ((1, "cortex"), (2, "medulla"))],
        "weights_license": "for use in our clinic only",
        "spacing_kji_mm": [1.0, 1.0, 1.0],
        "patch_size_kji": [16, 16, 32],
        "orientation": "RAS",
    }
    (folder / "mine.json").write_text(json.dumps(card), encoding="utf-8")
    return folder / "mine.safetensors"
