"""The Apply button that turns into Cancel, the progress bar, the status line and the log."""

import time
from collections.abc import Callable

from slicer.i18n import tr as _

from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Widgets.Texts import timeText

_BAR_STEPS = 1000
_LOG_LINES = 2000


class RunPanel:
    """Args:
    ui: widgets of Segment.ui.
    onApply: called when the user starts a run.
    onCancel: called when the user stops it.
    """

    def __init__(self, ui, onApply: Callable[[], None], onCancel: Callable[[], None]) -> None:
        self._ui, self._onApply, self._onCancel = ui, onApply, onCancel
        self.isRunning = False
        self._started = 0.0
        ui.applyButton.clicked.connect(self._onClicked)
        ui.logText.setMaximumBlockCount(_LOG_LINES)
        ui.progressBar.setVisible(False)

    def setReady(self, missing: str) -> None:
        """Enable Apply, or say in its tooltip what is missing."""
        if not self.isRunning:
            self._ui.applyButton.enabled = not missing
            self._ui.applyButton.setToolTip(missing or _("Segment the input volume."))

    def setRunning(self, isRunning: bool) -> None:
        """Turn Apply into Cancel and back."""
        self.isRunning = isRunning
        self._ui.applyButton.setText(_("Cancel") if isRunning else _("Apply"))
        self._ui.applyButton.enabled = True
        self._ui.progressBar.setVisible(isRunning)
        if isRunning:
            self._started = time.monotonic()
            self._ui.applyButton.setToolTip(_("Stop the run; nothing is written."))
            self._ui.progressBar.setValue(0)
            self._ui.progressBar.setFormat("")

    def showCancelling(self) -> None:
        """Cancel was pressed; the answer may take a window's time."""
        self._ui.applyButton.enabled = False
        self.showStatus(_("Cancelling..."))

    def showProgress(self, progress: Progress) -> None:
        """Move the bar; say the phase and the time left."""
        self._ui.progressBar.setValue(round(_BAR_STEPS * progress.fraction))
        self._ui.progressBar.setFormat(f"{phaseText(progress.phase)} {progress.fraction:.0%}")
        if self._ui.applyButton.enabled:
            self.showStatus(timeText(time.monotonic() - self._started, progress.seconds_left))

    def showStatus(self, text: str, toolTip: str = "") -> None:
        """One line below the button; it stays until the next one."""
        self._ui.statusLabel.setText(text)
        self._ui.statusLabel.setToolTip(toolTip)

    def appendLog(self, text: str) -> None:
        """Add to the log pane."""
        self._ui.logText.appendPlainText(text.rstrip("\n"))

    def _onClicked(self, *_args) -> None:
        if self.isRunning:
            self.showCancelling()
            self._onCancel()
        else:
            self._onApply()


def phaseText(phase: str) -> str:
    """The engine's phase in the user's words."""
    texts = {
        "read": _("Loading the model"),
        "prepare": _("Preparing the volume"),
        "network": _("Segmenting"),
        "sum": _("Averaging windows"),
        "labels": _("Labelling the volume's voxels"),
        "clean up": _("Cleaning up"),
        "write": _("Writing"),
    }
    return texts.get(phase, phase)
