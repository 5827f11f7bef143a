"""The button that starts a request and stops it, and the bar that tells how far it is."""

from collections.abc import Callable

from slicer.i18n import tr as _

_BAR_STEPS = 1000


class ProgressRow:
    """Starts as a button that cannot be pressed, without a bar.

    Args:
        button, bar: QPushButton and QProgressBar.
        startToolTip, stopToolTip: of the button.
        onStart, onStop: called when the user presses the button.
    """

    def __init__(
        self, button, bar, startToolTip: str, stopToolTip: str, onStart: Callable[[], None], onStop: Callable[[], None]
    ) -> None:
        self._button, self._bar = button, bar
        self._startText, self._startToolTip, self._stopToolTip = button.text, startToolTip, stopToolTip
        self._onStart, self._onStop = onStart, onStop
        self.isRunning = False
        bar.setMaximum(_BAR_STEPS)
        bar.setVisible(False)
        button.clicked.connect(lambda *_args: self._onClicked())

    def setReady(self, missing: str) -> None:
        """Let the request be started, or say in the tooltip what is missing; a request that runs is not concerned."""
        if not self.isRunning:
            self._button.enabled = not missing
            self._button.setToolTip(missing or self._startToolTip)

    def setRunning(self, isRunning: bool) -> None:
        """Turn the button into Cancel and back."""
        if isRunning == self.isRunning:
            return
        self.isRunning = isRunning
        self._button.setText(_("Cancel") if isRunning else self._startText)
        self._button.setToolTip(self._stopToolTip if isRunning else self._startToolTip)
        self._button.enabled = True
        self._bar.setVisible(isRunning)
        if isRunning:
            self.show(0.0)

    def show(self, fraction: float, caption: str = "") -> None:
        """Move the bar to a share in [0, 1]; the caption stands before the percentage."""
        self._bar.setValue(round(_BAR_STEPS * fraction))
        self._bar.setFormat(f"{caption} %p%".strip())

    @property
    def isStopping(self) -> bool:
        """Whether Cancel was pressed, and the request has not ended yet."""
        return self.isRunning and not self._button.enabled

    def _onClicked(self) -> None:
        if self.isRunning:
            self._button.enabled = False  # the answer may take a while
            self._onStop()
        else:
            self._onStart()
