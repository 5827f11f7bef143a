"""Who answers the prompts: chosen in the Refine tab, kept in Slicer's settings, and used by the tab and the Segment Editor effect."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Widgets.FileDialogs import pathFrom

PROMPTER_KEY, FILE_KEY, FAMILY_KEY = (f"MedNeXtSegment/{name}" for name in ("Prompter", "PrompterFile", "PrompterFamily"))
_WALKER, _FILE = "random_walker", "file"


def chosenPrompter() -> tuple[tuple[str, str], ...]:
    """What the user chose, as arguments of RefineLogic.startRefinement; none for the bundled network."""
    kind, path, family = (Settings.read(key) for key in (PROMPTER_KEY, FILE_KEY, FAMILY_KEY))
    if kind == _WALKER:
        return (("prompter", _WALKER),)
    if kind != _FILE or not path:
        return ()
    return (("prompter", path), *((("family", family),) if family else ()))


class PrompterChoice:
    """The selector, and below it the file and its family, which only a file of weights needs.

    Args:
        ui: of Refine.ui.
        onChanged: called where another one is chosen.
    """

    def __init__(self, ui, onChanged) -> None:
        self._ui, self._onChanged = ui, onChanged
        for text, kind in (
            (_("ClickNet, bundled"), ""),
            (_("Random walker, without weights"), _WALKER),
            (_("SAM-Med2D, SAM or MedSAM file"), _FILE),
        ):
            ui.prompterSelector.addItem(text, kind)
        for text, family in (
            (_("By its tensors"), ""),
            ("SAM-Med2D", "sam_med2d"),
            ("SAM", "sam"),
            ("MedSAM", "medsam"),
        ):
            ui.prompterFamilySelector.addItem(text, family)
        for selector, key in ((ui.prompterSelector, PROMPTER_KEY), (ui.prompterFamilySelector, FAMILY_KEY)):
            selector.setCurrentIndex(max(0, selector.findData(Settings.read(key))))
            selector.connect("currentIndexChanged(int)", lambda _index, selector=selector, key=key: self._keep(selector, key))
        ui.prompterFileButton.clicked.connect(lambda *_args: self._askForFile())
        self._show()

    def chooseFile(self, path: str) -> None:
        """Take this file of weights."""
        Settings.write(FILE_KEY, path)
        self._show()
        self._onChanged()

    def _keep(self, selector, key: str) -> None:
        Settings.write(key, selector.itemData(selector.currentIndex) or "")
        self._show()
        self._onChanged()

    def _show(self) -> None:
        isFile, path = Settings.read(PROMPTER_KEY) == _FILE, Settings.read(FILE_KEY)
        self._ui.prompterFileButton.setText(Path(path).name or _("Choose a file..."))
        self._ui.prompterFileButton.setToolTip(path or _("A .pth, .pt or .safetensors file that its authors published."))
        for widget in (self._ui.prompterFileButton, self._ui.prompterFamilySelector):
            widget.setVisible(isFile)

    def _askForFile(self) -> None:
        dialog = qt.QFileDialog(self._ui.prompterFileButton.window(), _("File of weights"))
        dialog.setNameFilter(_("Weights (*.pth *.pt *.safetensors)"))
        path = pathFrom(dialog)
        if path:
            self.chooseFile(path)
