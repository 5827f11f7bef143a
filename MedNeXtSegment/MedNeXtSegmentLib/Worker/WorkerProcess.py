"""One worker process: its start, its lines, its end. Only what PythonQt and PySide6 share is used; no threads."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import qt

ENGINE_FOLDER = Path(__file__).resolve().parents[2]
_END_TIMEOUT_MS = 2000


def defaultProgram() -> str:
    """Slicer's own Python where this runs in Slicer, else the Python that runs this."""
    return shutil.which("PythonSlicer") or sys.executable


class WorkerProcess:
    """A QProcess that talks in lines.

    Args:
        program: Python with the engine's packages.
        arguments: of the program; the working directory is the folder that holds the engine.
        environment: variables of the process; None for those of this one.
        onLine: called with each whole line (bytes) of standard output.
        onLog: called with text of standard error.
        onEnded: called once, from the event loop, with True where the program could not be started, and a phrase on how it ended.
    """

    def __init__(
        self,
        program: str,
        arguments: list[str],
        environment: dict[str, str] | None,
        onLine: Callable[[bytes], None],
        onLog: Callable[[str], None],
        onEnded: Callable[[bool, str], None],
    ) -> None:
        self._onLine, self._onLog, self._onEnded = onLine, onLog, onEnded
        self._unfinishedLine = b""
        self._lines: list[bytes] = []
        self._hasEnded = False
        self._groupId: int | None = None
        self._process = qt.QProcess()
        self._process.setWorkingDirectory(str(ENGINE_FOLDER))
        if environment is not None:
            self._process.setEnvironment([f"{name}={value}" for name, value in environment.items()])
        self._process.readyReadStandardOutput.connect(self._readOutput)
        self._process.readyReadStandardError.connect(self._readErrors)
        # A program that cannot be started never finishes; stateChanged and errorOccurred together cover every end.
        self._process.stateChanged.connect(self._checkEnd)
        self._process.errorOccurred.connect(self._checkEnd)
        self._process.start(program, arguments)

    @property
    def hasEnded(self) -> bool:
        """Whether onEnded was called, or end() was."""
        return self._hasEnded

    def ownsGroup(self, processId: int) -> None:
        """The worker leads a process group of its own: its children are ended with it."""
        self._groupId = processId

    def write(self, line: bytes) -> None:
        """Send a line; to a process that is gone, nothing is sent: onEnded is on its way."""
        if self._process.state() != qt.QProcess.NotRunning:
            self._process.write(line)

    def waitForOutput(self, milliseconds: int) -> bool:
        """Wait without an event loop until something arrives, at most this long; False where nothing did."""
        return not self._hasEnded and self._process.waitForReadyRead(milliseconds)

    def end(self, politely: bool) -> None:
        """End the process and its children now; onEnded will not be called.

        Args:
            politely: close its input first and give it two seconds.
        """
        if self._hasEnded:
            return
        self._hasEnded = True
        if politely:
            self._process.closeWriteChannel()
        if not politely or not self._finished():
            self._process.kill()
            self._finished()
        self._cleanUp()

    def _finished(self) -> bool:
        return self._process.state() == qt.QProcess.NotRunning or self._process.waitForFinished(_END_TIMEOUT_MS)

    def _readOutput(self, *_args: object) -> None:
        *lines, self._unfinishedLine = (self._unfinishedLine + self._process.readAllStandardOutput().data()).split(b"\n")
        self._lines += lines
        self._handLinesOn()

    def _handLinesOn(self) -> None:
        while self._lines and not self._hasEnded:
            try:
                self._onLine(self._lines.pop(0))
            except Exception:
                # The error is the caller's. It is shown here and does not go on into Qt: PythonQt would only print it, and PySide6
                # raises it in whichever slot runs next, where the output that slot has just read would be lost.
                sys.excepthook(*sys.exc_info())

    def _readErrors(self, *_args: object) -> None:
        text = self._process.readAllStandardError().data().decode("utf-8", errors="replace")
        if text:
            self._onLog(text)

    def _checkEnd(self, *_args: object) -> None:
        # Not at once: Qt sets the error and the exit code only after it has sent this signal.
        if self._process.state() == qt.QProcess.NotRunning:
            qt.QTimer.singleShot(0, self._reportEnd)

    def _reportEnd(self) -> None:
        if self._hasEnded:
            return
        self._readOutput()
        self._readErrors()
        self._hasEnded = True
        failedToStart = self._process.error() == qt.QProcess.FailedToStart
        if failedToStart:
            how = "the program is missing or may not be run"
        elif self._process.exitStatus() == qt.QProcess.CrashExit:
            how = "it crashed or was killed"
        else:
            how = f"it ended with exit code {self._process.exitCode()}"
        self._cleanUp()
        self._onEnded(failedToStart, how)

    def _cleanUp(self) -> None:
        if self._groupId is not None:
            try:
                os.killpg(self._groupId, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):  # nobody is left: the usual case (macOS says it the second way)
                self._groupId = None
        self._process.deleteLater()
