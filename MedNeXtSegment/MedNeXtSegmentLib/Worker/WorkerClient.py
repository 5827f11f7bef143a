"""The panel's side of the worker: requests with callbacks, and one clear message when the worker fails.

Nothing here blocks, except where a method says so. The worker is started by the first request and, after it failed, by the next one.
"""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import qt
import slicer

from mednextseg.geometry import Geometry
from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder, is_description
from MedNeXtSegmentLib.Worker.EventLoopTurns import EventLoopTurns
from MedNeXtSegmentLib.Worker.RunFailure import RunFailure
from MedNeXtSegmentLib.Worker.WorkerLaunch import WorkerLaunch
from MedNeXtSegmentLib.Worker.WorkerProcess import WorkerProcess, defaultProgram

_TICK_MS = 1000
# More than the channels of any model, so that a run never loses a volume it was sent for.
_VOLUMES_KEPT = 8


@dataclass
class _Pending:
    operation: str
    onResult: Callable[[dict], None] | None
    onError: Callable[[RunFailure], None] | None
    onProgress: Callable[[str, float, float | None], None] | None
    ticksSinceCancel: int | None = None


class WorkerClient:
    """Talks to one worker at a time.

    Args:
        program: Python that has the engine's packages; None for Slicer's own.
        arguments: that start the worker in it; the option --folder is added.
        environment: variables for the process; None for those of this process. A Python outside Slicer needs
            slicer.util.startupEnvironment().
        onReady: called with the worker's hello (versions, devices, what is missing; see mednextseg.worker.operations.environment).
        onFailure: called once, with a RunFailure, when the worker failed while something was pending: the message for the user.
        onLog: called with text for the log pane.
        startTimeoutSeconds, hangTimeoutSeconds: silence after which a worker is taken to hang, before and after its hello.
        cancelTimeoutSeconds: after which a request that does not react to `cancel` is ended together with the worker.

    Attributes:
        serverLaunch: asked at each start for what to start instead, a relay to a server; None for the worker of this computer.
    """

    def __init__(
        self,
        program: str | None = None,
        arguments: tuple[str, ...] = ("-u", "-m", "mednextseg.worker"),
        environment: dict[str, str] | None = None,
        onReady: Callable[[dict], None] | None = None,
        onFailure: Callable[[RunFailure], None] | None = None,
        onLog: Callable[[str], None] | None = None,
        startTimeoutSeconds: int = 180,
        hangTimeoutSeconds: int = 60,
        cancelTimeoutSeconds: int = 15,
    ) -> None:
        self.serverLaunch: Callable[[], WorkerLaunch | None] = lambda: None
        self.hello: dict | None = None
        self._launch = WorkerLaunch(program or defaultProgram(), arguments, environment)
        self._onReady, self._onFailure, self._onLog = onReady, onFailure, onLog
        self._startTimeout, self._hangTimeout = startTimeoutSeconds, hangTimeoutSeconds
        self._cancelTimeout = cancelTimeoutSeconds
        self._process: WorkerProcess | None = None
        self._folder: tempfile.TemporaryDirectory | None = None
        self._arrays: ArrayFolder | None = None
        self._volumeKeys: list[str] = []
        self._pending: dict[int, _Pending] = {}
        self._lastId = 0
        self._silentTicks = 0
        self._turns = EventLoopTurns()
        self._watchdog = qt.QTimer()
        self._watchdog.setInterval(_TICK_MS)
        self._watchdog.timeout.connect(self._onTick)

    @property
    def state(self) -> str:
        """ "stopped", "starting" or "ready"."""
        if self._process is None:
            return "stopped"
        return "starting" if self.hello is None else "ready"

    @property
    def pendingRequests(self) -> list[int]:
        """Ids of the requests that have no answer yet, oldest first."""
        return list(self._pending)

    def start(self) -> None:
        """Start the worker, so that the first request need not wait for it; does nothing where one runs."""
        if self._process is not None:
            return
        self.hello, self._silentTicks, self._volumeKeys = None, 0, []
        self._folder = tempfile.TemporaryDirectory(prefix="mednextseg-", ignore_cleanup_errors=True)
        self._arrays = ArrayFolder(self._folder.name, writer="client")
        launch = self.serverLaunch() or self._launch
        self.program, arguments = launch.program, [*launch.arguments, "--folder", self._folder.name]
        self._process = WorkerProcess(
            launch.program, arguments, launch.environment, self._onLine, self._log, self._onProcessEnded
        )
        self._process.write(launch.firstLine)
        self._watchdog.start()

    def request(
        self,
        operation: str,
        parameters: dict | None = None,
        onResult: Callable[[dict], None] | None = None,
        onError: Callable[[RunFailure], None] | None = None,
        onProgress: Callable[[str, float, float | None], None] | None = None,
    ) -> int:
        """Ask the worker for something; exactly one of onResult and onError is called later, from the event loop.

        Args:
            operation: see mednextseg.worker.operations.
            parameters: JSON values; numpy arrays at the top level are sent as files.
            onResult: called with the value; arrays in it are numpy arrays in memory.
            onError: called with a RunFailure; its code is "cancelled" after `cancel` and "superseded" for a prompt that a newer one
                replaced.
            onProgress: called with phase, fraction in [0, 1] and seconds left (None while unknown).
        Returns:
            The id, for `cancel`.
        Raises:
            ValueError: for parameters that cannot be sent.
            RuntimeError: where the disk has no room for an array.
        """
        self.start()
        line = self._encoded(self._lastId + 1, operation, parameters or {})
        self._lastId += 1
        self._pending[self._lastId] = _Pending(operation, onResult, onError, onProgress)
        self._process.write(line)
        return self._lastId

    def shareVolume(self, key: str, volume_kji: np.ndarray, geometry: Geometry) -> None:
        """Make a volume known to the worker under a key; it is sent unless this worker has it. Call it before each request.

        Args:
            key: stands for these voxels at this place: another key for changed voxels. The latest eight are kept.
            volume_kji: any real dtype; copied.
            geometry: in world RAS.
        Raises:
            ValueError, RuntimeError: as `request`.
        """
        if volume_kji.shape != geometry.shape_kji:
            raise ValueError(f"the array has {volume_kji.shape} voxels but its geometry {geometry.shape_kji}; they must agree.")
        self.start()
        if key in self._volumeKeys:
            self._volumeKeys.remove(key)
        else:
            parameters = {"volume": key, "array": volume_kji, "ijk_to_ras": geometry.ijk_to_ras.tolist()}
            self.request("open_volume", parameters, onError=lambda error: self._forgetVolume(key, error))
        self._volumeKeys.append(key)
        while len(self._volumeKeys) > _VOLUMES_KEPT:
            self.request("close_volume", {"volume": self._volumeKeys.pop(0)})

    def cancel(self, requestId: int | None) -> None:
        """Ask for a request to be stopped: its onError gets the code "cancelled". One that has been answered, or None, is left alone."""
        pending = self._pending.get(requestId)
        if pending is None or pending.ticksSinceCancel is not None:
            return
        pending.ticksSinceCancel = 0
        message = {"operation": "cancel", "parameters": {"target": requestId}}
        self._process.write(protocol.encode(message))

    def wait(self, isOver: Callable[[], bool]) -> None:
        """Block until isOver() is true or nothing is pending, while the event loop goes on in short turns."""
        while not isOver() and self._pending:
            waitMs = self._turns.remainingMs()
            if not waitMs or self._process is None or not self._process.waitForOutput(waitMs):
                slicer.app.processEvents()

    def stop(self) -> None:
        """End the worker and its children; pending requests get the code "worker_stopped". Blocks for at most four seconds."""
        if self._process is not None:
            self._process.end(politely=True)
            self._afterEnd(RunFailure(protocol.WORKER_STOPPED, "The worker was stopped."), isTold=False)

    def _encoded(self, requestId: int, operation: str, parameters: dict) -> bytes:
        try:
            sent = {k: self._arrays.write(v) if isinstance(v, np.ndarray) else v for k, v in parameters.items()}
        except OSError as error:
            raise RuntimeError(f"the data cannot be handed to the worker: {error}") from error
        return protocol.encode({"id": requestId, "operation": operation, "parameters": sent})

    def _onLine(self, line: bytes) -> None:
        self._silentTicks = 0
        try:
            message = protocol.decode_answer(line)
        except ValueError:
            self._log(line.decode("utf-8", errors="replace") + "\n")
            return
        event = message["event"]
        if event == "hello":
            self._onHello(message)
        elif event == "log":
            self._log(f"{message['level']}: {message['text']}\n")
        elif event == "progress":
            pending = self._pending.get(message["id"])
            if pending is not None and pending.onProgress is not None:
                pending.onProgress(message["phase"], message["fraction"], message["seconds_left"])
        elif event == "result":
            self._onResult(message["id"], message["value"])
        elif event in ("error", "failure"):
            failure = RunFailure(message["code"], message["message"], message["hint"])
            self._endAndFail(failure) if event == "failure" else self._answerError(message["id"], failure)

    def _onHello(self, hello: dict) -> None:
        if hello["protocol_version"] != protocol.PROTOCOL_VERSION:
            text = f"The worker of {self.program} speaks protocol {hello['protocol_version']}, this panel {protocol.PROTOCOL_VERSION}."
            self._endAndFail(RunFailure(protocol.WORKER_NOT_STARTED, text, "Update the extension and restart Slicer."))
            return
        self.hello = hello
        if hello["leads_process_group"]:
            self._process.ownsGroup(hello["pid"])
        if self._onReady is not None:
            self._onReady(hello)

    def _onResult(self, requestId: int, value: dict) -> None:
        arrays = {name: self._arrays.take(item) for name, item in value.items() if is_description(item)}
        pending = self._pending.pop(requestId, None)
        if pending is not None and pending.onResult is not None:
            pending.onResult({**value, **arrays})

    def _answerError(self, requestId: int | None, error: RunFailure) -> None:
        pending = self._pending.pop(requestId, None)
        if pending is not None and pending.onError is not None:
            pending.onError(error)
        elif pending is None:
            self._log(f"ERROR: {error}\n")

    def _forgetVolume(self, key: str, error: RunFailure) -> None:
        if key in self._volumeKeys:
            self._volumeKeys.remove(key)
        if not error.isWorkerFailure:
            self._log(f"ERROR: the volume could not be sent: {error}\n")

    def _onTick(self) -> None:
        """Once a second: is there a sign of life? Ticks are counted rather than seconds, so that a sleeping computer is no hang."""
        if not self._pending and self.hello is not None:
            self._silentTicks = 0
            return
        for pending in self._pending.values():
            if pending.ticksSinceCancel is not None:
                pending.ticksSinceCancel += 1
        self._silentTicks += 1
        late = [i for i, p in self._pending.items() if (p.ticksSinceCancel or 0) > self._cancelTimeout]
        limit = self._startTimeout if self.hello is None else self._hangTimeout
        if self._silentTicks > limit:
            text = f"The worker has not answered for {limit} seconds and was ended."
            self._endAndFail(RunFailure(protocol.WORKER_HUNG, text, "Try again; the log has the details."))
        elif late:
            for requestId in late:
                self._answerError(requestId, RunFailure(protocol.CANCELLED, "The request was cancelled."))
            text = "The worker was ended, because a request did not react to Cancel."
            self._endAndFail(RunFailure(protocol.WORKER_STOPPED, text, "Try again."))
        elif self._silentTicks > 1:
            # The worker's reader answers even while a network runs. Nobody waits for this answer: it only shows life.
            self._process.write(protocol.encode({"id": 0, "operation": "ping"}))

    def _onProcessEnded(self, failedToStart: bool, how: str) -> None:
        if failedToStart:
            text = f"The worker could not be started: {how} ({self.program})."
            error = RunFailure(protocol.WORKER_NOT_STARTED, text, "Check the worker's Python in the Set-up section.")
        elif self.hello is None:
            text = f"The worker ended before it was ready: {how} ({self.program})."
            error = RunFailure(protocol.WORKER_NOT_STARTED, text, "The log tells why; check the Set-up section.")
        else:
            text = f"The worker ended unexpectedly: {how}. Your scene is untouched."
            error = RunFailure(protocol.WORKER_CRASHED, text, "Try again: a new worker is started by itself.")
        self._afterEnd(error, isTold=True)

    def _endAndFail(self, error: RunFailure) -> None:
        self._process.end(politely=False)
        self._afterEnd(error, isTold=True)

    def _afterEnd(self, error: RunFailure, isTold: bool) -> None:
        """Forget the process and answer what waited for it. The next request finds a clean slate, even one made by a callback."""
        self._watchdog.stop()
        self._process, self.hello = None, None
        self._folder.cleanup()
        pending, self._pending = self._pending, {}
        self._log(f"{error}\n")
        for request in pending.values():
            if request.onError is not None:
                request.onError(error)
        if isTold and pending and self._onFailure is not None:
            self._onFailure(error)

    def _log(self, text: str) -> None:
        logging.debug("worker: %s", text.rstrip())
        if self._onLog is not None:
            self._onLog(text)
