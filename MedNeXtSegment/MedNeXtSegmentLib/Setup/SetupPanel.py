"""Section "Set-up": what is installed, what is missing, one button that installs it, and what this computer offers."""

from collections.abc import Callable

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from mednextseg.models.library import library_folder
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Setup.Dependencies import SERVER_REQUIREMENTS, Installer, installedVersions
from MedNeXtSegmentLib.Setup.ServerPanel import ServerPanel
from MedNeXtSegmentLib.Widgets.Texts import deviceText
from MedNeXtSegmentLib.Worker import ServerChoice

_TABLE_HEIGHT_PX = 130


class SetupPanel:
    """Shows what is missing on this computer, and installs it.

    Args:
        widget: loaded from Setup.ui.
        installer: installs packages.
        worker: WorkerClient; stopped for an installation. None where nothing runs in a worker.
        onChanged: called when what is missing may have changed.
        onComputerChanged: called when another computer computes, before the worker is started there.
    """

    def __init__(
        self, widget, installer: Installer, worker, onChanged: Callable[[], None], onComputerChanged: Callable[[], None]
    ) -> None:
        self.ui = slicer.util.childWidgetVariables(widget)
        self._installer, self._worker, self._onChanged = installer, worker, onChanged
        self._ownRequirements, self._onComputerChanged = installer.requirements, onComputerChanged
        self._hello: dict | None = None
        self.server = ServerPanel(self.ui, worker, self._followComputer)
        self._chooseRequirements()
        self.ui.wheelsFolderEdit.filters = ctk.ctkPathLineEdit.Dirs | ctk.ctkPathLineEdit.Readable
        table = self.ui.packagesTable
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Package"), _("Installed"), _("Needed")])
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setMaximumHeight(_TABLE_HEIGHT_PX)
        table.verticalHeader().setVisible(False)
        self.ui.installButton.clicked.connect(lambda *_args: self.install())
        self.ui.checkButton.clicked.connect(lambda *_args: self.checkComputer())
        self.ui.modelsFolderButton.clicked.connect(lambda *_args: self._openModelsFolder())
        self.update()
        self.ui.setUpSection.collapsed = not self.whatIsMissing()

    def missing(self) -> list[str]:
        """Packages that the worker's Python lacks; those of another Python than Slicer's are known once it has said hello."""
        if Settings.workerProgram() is None or Settings.isServerChosen():
            return self._installer.missing()
        return [] if self._hello is None else list(self._hello["missing_packages"])

    def whatIsMissing(self) -> str:
        """One sentence for the user; empty where runs can start."""
        missing = self.missing()
        if missing:
            return _("Packages are missing ({names}): see Set-up.").format(names=", ".join(missing))
        if ServerChoice.problem():
            return ServerChoice.problem()
        return self._hello["torch_problem"] if self._hello is not None else ""

    def update(self) -> None:
        """Show what is installed now."""
        missing = self.missing()
        requirements = self._installer.requirements
        versions = installedVersions(requirements)
        isSlicersPython = Settings.workerProgram() is None or Settings.isServerChosen()
        if not isSlicersPython and self._hello is not None:
            versions = {name: self._hello["packages"].get(name) for name in requirements}
        self.ui.packagesTable.setRowCount(len(requirements))
        for row, (name, requirement) in enumerate(requirements.items()):
            for column, text in enumerate((name, versions[name] or _("missing"), requirement)):
                self.ui.packagesTable.setItem(row, column, qt.QTableWidgetItem(text))
        self.ui.setUpSection.setText(_("Set-up") if missing or ServerChoice.problem() else _("Set-up: ready"))
        status = self.whatIsMissing() or _("Everything that is needed is installed.")
        self.ui.setUpStatusLabel.setText(status)
        self.ui.installButton.enabled = bool(missing) and isSlicersPython
        tooltip = _("Downloads and installs: {names}. Nothing is installed unless you press this button.")
        self.ui.installButton.setToolTip(tooltip.format(names=", ".join(missing)) if missing else status)

    def install(self) -> None:
        """Install what is missing; errors are shown."""
        if self._worker is not None:
            self._worker.stop()  # it may hold files that are to be replaced
        with slicer.util.tryWithErrorDisplay(_("The installation failed."), waitCursor=True):
            self._installer.installMissing(self.ui.wheelsFolderEdit.currentPath or None)
        self._hello = None
        self.update()
        self._onChanged()

    def checkComputer(self) -> None:
        """Start the worker, which then tells what it finds; does nothing while packages are missing."""
        if self._worker is None or self.missing() or ServerChoice.problem():
            return
        if self._worker.hello is None:
            self.ui.devicesLabel.setText(_("Starting the worker..."))
            self._worker.start()

    def showHello(self, hello: dict) -> None:
        """The worker has started: show its devices."""
        self._hello = hello
        lines = [deviceText(device) for device in hello["devices"]]
        lines.append(_("Python {python}, PyTorch {torch}").format(python=hello["python"], torch=hello["torch"] or _("missing")))
        self.ui.devicesLabel.setText("\n".join(lines))
        self.update()
        self._onChanged()

    def _followComputer(self) -> None:
        """Another computer computes from now on."""
        self._onComputerChanged()
        self._hello = None
        self.ui.devicesLabel.setText("")
        self._chooseRequirements()
        self.update()
        self._onChanged()
        self.checkComputer()

    def _chooseRequirements(self) -> None:
        self._installer.requirements = SERVER_REQUIREMENTS if Settings.isServerChosen() else self._ownRequirements

    def _openModelsFolder(self) -> None:
        folder = library_folder()
        folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))
