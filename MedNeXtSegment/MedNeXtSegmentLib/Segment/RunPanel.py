"""The Apply button that turns into Cancel, the progress bar, the status line and the log."""

import time
from collections.abc import Callable

from slicer.i18n import tr as _

from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Widgets.ProgressRow import ProgressRow
from MedNeXtSegmentLib.Widgets.Texts import timeText

_LOG_LINES = 2000


class RunPanel:
    """Shows a run: Apply or Cancel, progress, status and log.

    Args:
        ui: widgets of Segment.ui.
        onApply: called when the user starts a run.
        onCancel: called when the user stops it.
    """

    def __init__(self, ui, onApply: Callable[[], None], onCancel: Callable[[], None]) -> None:
        self._ui, self._onCancel = ui, onCancel
        self._started = 0.0
        toolTips = _("Segment the input volume."), _("Stop the run; nothing is written.")
        self._row = ProgressRow(ui.applyButton, ui.progressBar, *toolTips, onApply, self._onStop)
        ui.logText.setMaximumBlockCount(_LOG_LINES)

    @property
    def isRunning(self) -> bool:
        """Whether the button is Cancel now."""
        return self._row.isRunning

    def setReady(self, missing: str) -> None:
        """Enable Apply, or say in its tooltip what is missing."""
        self._row.setReady(missing)

    def setRunning(self, isRunning: bool) -> None:
        """Turn Apply into Cancel and back."""
        if isRunning:
            self._started = time.monotonic()
        self._row.setRunning(isRunning)

    def showProgress(self, progress: Progress) -> None:
        """Move the bar; say the phase and the time left."""
        self._row.show(progress.fraction, phaseText(progress.phase))
        if not self._row.isStopping:
            self.showStatus(timeText(time.monotonic() - self._started, progress.seconds_left))

    def showStatus(self, text: str, toolTip: str = "") -> None:
        """One line below the button; it stays until the next one."""
        self._ui.statusLabel.setText(text)
        self._ui.statusLabel.setToolTip(toolTip)

    def appendLog(self, text: str) -> None:
        """Add to the log pane."""
        self._ui.logText.appendPlainText(text.rstrip("\n"))

    def _onStop(self) -> None:
        self.showStatus(_("Cancelling..."))
        self._onCancel()


def phaseText(phase: str) -> str:
    """The engine's phase in the user's words."""
    texts = {
        "read": _("Loading the model"),
        "find region": _("Finding the region"),
        "prepare": _("Preparing the volume"),
        "network": _("Segmenting"),
        "sum": _("Averaging windows"),
        "labels": _("Labeling the volume's voxels"),
        "clean up": _("Cleaning up"),
        "write": _("Writing"),
    }
    return texts.get(phase, phase)
