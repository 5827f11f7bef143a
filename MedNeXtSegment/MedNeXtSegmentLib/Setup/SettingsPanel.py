"""What belongs to the machine, on a page of Slicer's settings dialog."""

from collections.abc import Callable

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MedNeXtSegmentLib import Settings


class SettingsPanel:
    """Keeps the widgets and Slicer's settings equal.

    Args:
        widget: loaded from Settings.ui.
    """

    def __init__(self, widget) -> None:
        self.ui = slicer.util.childWidgetVariables(widget)
        self.ui.homeEdit.filters = ctk.ctkPathLineEdit.Dirs
        self.ui.workerPythonEdit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Executable
        _bindPath(self.ui.homeEdit, Settings.HOME_KEY, Settings.applyHome)
        _bindPath(self.ui.workerPythonEdit, Settings.WORKER_PYTHON_KEY, lambda: None)
        self.ui.deviceEdit.setText(Settings.read(Settings.DEVICE_KEY))
        self.ui.deviceEdit.textChanged.connect(lambda text: Settings.write(Settings.DEVICE_KEY, text.strip()))


def _bindPath(edit, key: str, onWritten: Callable[[], None]) -> None:
    """Show a setting in a ctkPathLineEdit, and write it there: what is typed when it is finished, what is chosen at once."""
    edit.setCurrentPath(Settings.read(key))
    line = edit.findChildren(qt.QLineEdit)[0]

    def write() -> None:
        path = edit.currentPath.strip()
        if path != Settings.read(key):
            Settings.write(key, path)
            onWritten()

    def onChanged(*_args) -> None:
        if not line.focus:
            write()

    edit.currentPathChanged.connect(onChanged)
    edit.validInputChanged.connect(onChanged)  # an emptied line sends only this
    line.editingFinished.connect(lambda *_args: write())


def addToSettingsDialog(uiPath: str) -> None:
    """Add the page to the dialog; a Slicer without main window has none."""
    if slicer.util.mainWindow() is None:
        return
    page = ctk.ctkSettingsPanel()
    layout = qt.QVBoxLayout(page)
    widget = slicer.util.loadUI(uiPath)
    layout.addWidget(widget)
    layout.addStretch(1)
    slicer.modules.MedNeXtSegmentSettingsPanel = SettingsPanel(widget)  # Python must keep it alive
    slicer.app.settingsDialog().addPanel(_("MedNeXt Segment"), page)
