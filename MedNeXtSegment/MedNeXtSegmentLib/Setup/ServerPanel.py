"""Which computer computes, in the section "Set-up", and the line above the tabs that says it."""

import time
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from mednextseg.worker.remote.pinning import checked_fingerprint
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Widgets.Texts import deviceText
from MedNeXtSegmentLib.Worker import ServerChoice
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure

_THIS_COMPUTER, _A_SERVER = range(2)


class ServerPanel:
    """Keeps the widgets and Slicer's settings equal.

    Args:
        ui: of Setup.ui.
        worker: WorkerClient; None where nothing runs in a worker, and so nowhere else.
        onComputerChanged: called when another computer computes, or the same is reached another way.
    """

    def __init__(self, ui, worker, onComputerChanged: Callable[[], None]) -> None:
        self.ui, self._worker, self._onComputerChanged = ui, worker, onComputerChanged
        self._isClosed = False
        ui.computerSelector.addItem(_("This computer"))
        ui.computerSelector.addItem(_("A server"))
        ui.computerSelector.setCurrentIndex(_A_SERVER if Settings.isServerChosen() else _THIS_COMPUTER)
        ui.computerSelector.enabled = worker is not None
        ui.serverAddressEdit.setText(Settings.read(Settings.SERVER_ADDRESS_KEY))
        ui.serverFingerprintEdit.setText(Settings.read(Settings.SERVER_FINGERPRINT_KEY))
        ui.serverTokenEdit.setText(ServerChoice.token())
        ui.serverTokenEdit.setEchoMode(qt.QLineEdit.Password)
        ui.computerSelector.connect("currentIndexChanged(int)", lambda *_args: self._onEdited())
        for edit in (ui.serverAddressEdit, ui.serverFingerprintEdit, ui.serverTokenEdit):
            edit.editingFinished.connect(lambda *_args: self._onEdited())
        ui.testConnectionButton.clicked.connect(lambda *_args: self.testConnection())
        self.update()

    def close(self) -> None:
        """The panel goes; answers that come later are not shown."""
        self._isClosed = True

    def update(self) -> None:
        """Show who computes, and what is missing for it."""
        isServer = Settings.isServerChosen()
        self.ui.serverFields.setVisible(isServer)
        problem = ServerChoice.problem()
        self.ui.testConnectionButton.enabled = isServer and not problem
        self.ui.testConnectionButton.setToolTip(problem or _("Connect, and list what the server has."))
        text = _("Computed on this computer; nothing is sent anywhere.")
        if isServer:
            text = _("Computed on the server {address}: volumes are sent there, encrypted.")
            text = text.format(address=Settings.read(Settings.SERVER_ADDRESS_KEY) or _("(no address yet)"))
        self.ui.computesLabel.setText(text)

    def testConnection(self) -> None:
        """Ask the server for a sign of life; what came of it is shown."""
        started = time.monotonic()
        self.ui.connectionLabel.setText(_("Connecting..."))

        def onResult(report: dict) -> None:
            text = _("Connected in {seconds:.1f} s: {devices}.")
            devices = ", ".join(deviceText(device) for device in report["devices"]) or _("no device")
            self._tell(text.format(seconds=time.monotonic() - started, devices=devices))

        def onError(failure: RunFailure) -> None:
            self._tell(str(failure))

        self._worker.request("environment", onResult=onResult, onError=onError)

    def _tell(self, text: str) -> None:
        if not self._isClosed:
            self.ui.connectionLabel.setText(text)

    def _onEdited(self) -> None:
        """Keep what was chosen and typed; a fingerprint in the form in which it is compared."""
        ui, before = self.ui, self._kept()
        Settings.write(Settings.COMPUTER_KEY, "server" if ui.computerSelector.currentIndex == _A_SERVER else "")
        Settings.write(Settings.SERVER_ADDRESS_KEY, ui.serverAddressEdit.text.strip())
        try:
            fingerprint = checked_fingerprint(ui.serverFingerprintEdit.text)
            ui.serverFingerprintEdit.setText(fingerprint)
        except ValueError:  # said by `problem`
            fingerprint = ui.serverFingerprintEdit.text.strip()
        Settings.write(Settings.SERVER_FINGERPRINT_KEY, fingerprint)
        ServerChoice.keepToken(ui.serverTokenEdit.text)
        if self._kept() != before:
            Settings.applyHome()
            ui.connectionLabel.setText("")
            self.update()
            self._onComputerChanged()

    def _kept(self) -> tuple:
        keys = Settings.COMPUTER_KEY, Settings.SERVER_ADDRESS_KEY, Settings.SERVER_FINGERPRINT_KEY
        return (*map(Settings.read, keys), ServerChoice.token())
