"""What belongs to the machine, on a page of Slicer's settings dialog."""

import ctk
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
        self.ui.homeEdit.setCurrentPath(Settings.read(Settings.HOME_KEY))
        self.ui.workerPythonEdit.setCurrentPath(Settings.read(Settings.WORKER_PYTHON_KEY))
        self.ui.deviceEdit.setText(Settings.read(Settings.DEVICE_KEY))
        self.ui.homeEdit.currentPathChanged.connect(self._onHomeChanged)
        self.ui.workerPythonEdit.currentPathChanged.connect(lambda path: Settings.write(Settings.WORKER_PYTHON_KEY, path))
        self.ui.deviceEdit.textChanged.connect(lambda text: Settings.write(Settings.DEVICE_KEY, text.strip()))

    def _onHomeChanged(self, path: str) -> None:
        Settings.write(Settings.HOME_KEY, path)
        Settings.applyHome()


def addToSettingsDialog(uiPath: str) -> None:
    """Add the page to the dialog; a Slicer without main window has none."""
    if slicer.util.mainWindow() is None:
        return
    import qt

    page = ctk.ctkSettingsPanel()
    layout = qt.QVBoxLayout(page)
    widget = slicer.util.loadUI(uiPath)
    layout.addWidget(widget)
    layout.addStretch(1)
    slicer.modules.MedNeXtSegmentSettingsPanel = SettingsPanel(widget)  # Python must keep it alive
    slicer.app.settingsDialog().addPanel(_("MedNeXt Segment"), page)
