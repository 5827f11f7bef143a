"""The worker: one thread reads requests, the main thread owns the device and works through them.

The reader keeps reading while a network runs; that is how a cancel, a newer prompt or the end of the client is noticed at once.
"""

import faulthandler
import logging
import os
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mednextseg.errors import Cancelled, sentence_of
from mednextseg.machine import import_torch, thread_count
from mednextseg.worker import protocol
from mednextseg.worker.arrays import ArrayFolder, is_description
from mednextseg.worker.operations import Context, Operation, WorkerState
from mednextseg.worker.operations.environment import environment_report
from mednextseg.worker.protocol import MAX_LINE_BYTES, ProtocolError, Request
from mednextseg.worker.serving import array_folders
from mednextseg.worker.serving.lifetime import lead_process_group, process_ender
from mednextseg.worker.serving.request_queue import Job, RequestQueue
from mednextseg.worker.transports.pipes import AnswerChannel, LogForwarder, take_over_standard_streams

_LIGHT_OPERATIONS = ("environment", "models", "volumes")
_NETWORK_OPERATIONS = ("segment", "refine", "evaluate", "adapt", "cases")
# Faster than the eye, slow enough for the client's event loop.
_SECONDS_BETWEEN_PROGRESS = 0.05

_log = logging.getLogger(__name__)


class WorkerServer:
    """Answers requests until its input ends.

    Args:
        channel: to the client.
        folder: for arrays.
        operations: by name.
        latest_wins: operation -> name of the parameter whose newest request wins.
        short: operations that are answered between the windows of a long one.

    Attributes:
        missing: what operations lack that could not be loaded; empty where all could.
    """

    def __init__(
        self,
        channel: AnswerChannel,
        folder: Path,
        operations: Mapping[str, Operation],
        latest_wins: Mapping[str, str],
        short: Collection[str] = (),
    ) -> None:
        self._channel = channel
        self._operations = operations
        self._latest_wins, self._short = latest_wins, short
        self._state = WorkerState(ArrayFolder(folder, writer="worker"))
        self.missing = ""
        self._queue = RequestQueue(self._drop)
        self._log_forwarder = LogForwarder(channel)

    def start_reading(self, stream: BinaryIO, end: Callable[[], None]) -> None:
        """Read requests in a thread of its own; `end` is called there when the stream ends."""

        def read() -> None:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                self._receive(line, stream)
            end()

        threading.Thread(target=read, name="requests", daemon=True).start()

    def start_logging(self) -> None:
        """Forward this process's logging and warnings to the client."""
        logging.captureWarnings(True)
        logging.getLogger("mednextseg").setLevel(logging.INFO)
        logging.getLogger().addHandler(self._log_forwarder)

    def work(self, idle: Callable[[], None]) -> None:
        """Run the requests, one after the other, in the thread that calls; never returns. `idle` is called in long waits."""
        while True:
            self._run(self._queue.next(idle))

    def _receive(self, line: bytes, stream: BinaryIO) -> None:
        """One line in the reader thread."""
        try:
            if len(line) > MAX_LINE_BYTES:
                _skip_line(line, stream)
                text = f"a request may have {MAX_LINE_BYTES} bytes; send arrays as files."
                raise ProtocolError(protocol.BAD_REQUEST, text)
            if line.strip():
                self._accept(protocol.decode_request(line))
        except ProtocolError as error:
            self._channel.send_error(error.request_id, error)

    def _accept(self, request: Request) -> None:
        if request.operation == "cancel":
            self._queue.cancel(request.parameters.get("target"))
        elif request.operation == "ping":
            self._channel.send(request.id, "result", value={})
        else:
            group = request.parameters.get(self._latest_wins.get(request.operation))
            key = None if group is None else (request.operation, str(group))
            self._queue.put(Job(request, key, request.operation in self._short))

    def _drop(self, job: Job, reason: ProtocolError) -> None:
        self._remove_arrays_of(job)
        self._channel.send_error(job.id, reason)

    def _run(self, job: Job) -> None:
        interrupted, self._log_forwarder.request_id = self._log_forwarder.request_id, job.id
        self._answer(job)
        self._log_forwarder.request_id = interrupted
        self._queue.finished(job)

    def _stop_check_of(self, job: Job) -> Callable[[], bool]:
        """What an operation asks between windows. A long one lets the short ones go first that wait by then."""

        def cancelled() -> bool:
            while (short := self._queue.next_short()) is not None:
                self._run(short)
            return job.cancelled()

        return job.cancelled if job.is_short else cancelled

    def _answer(self, job: Job) -> None:
        try:
            operation = self._operation_named(job.request.operation)
            context = Context(self._state, self._progress_of(job), self._stop_check_of(job))
            self._send_result(job, operation(job.request.parameters, context))
        except Exception as error:  # whatever an operation meets, the worker lives on and the client is told
            self._remove_arrays_of(job)
            self._channel.send_error(job.id, self._as_answer(error))

    def _operation_named(self, name: str) -> Operation:
        if name in self._operations:
            return self._operations[name]
        if self.missing:
            raise ImportError(self.missing)
        known = ", ".join(sorted(self._operations))
        raise ProtocolError(protocol.UNKNOWN_OPERATION, f"the worker has no operation {name!r}; it has: {known}.")

    def _send_result(self, job: Job, value: dict) -> None:
        arrays = {name: self._state.arrays.write(item) for name, item in value.items() if isinstance(item, np.ndarray)}
        try:
            self._channel.send(job.id, "result", value={**value, **arrays})
        except (TypeError, ValueError) as error:
            for description in arrays.values():
                self._state.arrays.remove(description)
            raise RuntimeError(f"the result of {job.request.operation} cannot be sent: {error}") from error

    def _as_answer(self, error: Exception) -> ProtocolError:
        text = sentence_of(error)
        if isinstance(error, ProtocolError):
            return error
        if isinstance(error, Cancelled):
            return ProtocolError(protocol.CANCELLED, "The request was cancelled.")
        if isinstance(error, MemoryError) or "out of memory" in text.lower():  # torch raises a RuntimeError of that text
            _log.warning("%s", "".join(traceback.format_exception(error)))
            self._state.release_networks()
            return ProtocolError(protocol.OUT_OF_MEMORY, f"Memory ran out: {text}")
        if isinstance(error, ImportError):
            return ProtocolError(protocol.MISSING_PACKAGE, f"A package that this needs cannot be used: {text}.")
        if isinstance(error, ValueError | OSError):  # what the user can do something about is no failure of the program
            return ProtocolError(protocol.INVALID_INPUT, text)
        _log.error("%s", "".join(traceback.format_exception(error)))
        return ProtocolError(protocol.FAILED, f"{type(error).__name__}: {text}")

    def _remove_arrays_of(self, job: Job) -> None:
        """Remove the files of a request that nobody will read now."""
        for value in job.request.parameters.values():
            if is_description(value):
                try:
                    self._state.arrays.remove(value)
                except ValueError:  # not a name of our folder: refused, as it was before
                    continue

    def _progress_of(self, job: Job) -> Callable[[str, float, float | None], None]:
        last_phase, last_time = "", 0.0

        def send(phase: str, fraction: float, seconds_left: float | None) -> None:
            nonlocal last_phase, last_time
            now = time.monotonic()
            if phase != last_phase or fraction >= 1 or now - last_time >= _SECONDS_BETWEEN_PROGRESS:
                last_phase, last_time = phase, now
                self._channel.send(job.id, "progress", phase=phase, fraction=fraction, seconds_left=seconds_left)

        return send


def serve(
    folder: str | None = None,
    operations: Mapping[str, Operation] | None = None,
    latest_wins: Mapping[str, str] | None = None,
    short: Collection[str] = (),
) -> None:
    """Run a worker on this process's standard input and output; never returns.

    Args:
        folder: an existing private folder for arrays, removed at the end; None makes one.
        operations, latest_wins, short: in addition to the worker's own.
    """
    requests, channel = take_over_standard_streams()
    faulthandler.enable()
    leads_group = lead_process_group()
    array_folder = Path(folder or tempfile.mkdtemp(prefix=array_folders.PREFIX))
    array_folders.lock(array_folder)
    array_folders.remove_stale_folders()
    all_operations, all_latest_wins, all_short = dict(operations or {}), dict(latest_wins or {}), set(short)
    server = WorkerServer(channel, array_folder, all_operations, all_latest_wins, all_short)
    server.start_logging()
    server.start_reading(requests, process_ender(array_folder, leads_group))
    idle = _prepare_torch()
    server.missing = _load_operations(all_operations, all_latest_wins, all_short)
    hello = {"pid": os.getpid(), "folder": str(array_folder), "leads_process_group": leads_group}
    channel.send(None, "hello", **hello, **environment_report())
    server.work(idle)


def _prepare_torch() -> Callable[[], None]:
    """Set threads and the memory allocator; returns what gives memory back that nobody needs for now."""
    torch, problem = import_torch()
    if torch is None:
        _log.warning(problem)
        return lambda: None
    torch.set_num_threads(thread_count())
    allocator = import_module("mednextseg.kernels.allocator")
    allocator.keep_freed_memory()
    return allocator.release_freed_memory


def _load_operations(operations: dict[str, Operation], latest_wins: dict[str, str], short: set[str]) -> str:
    """Add the worker's own operations; returns what some of them lack, else nothing. The others work all the same."""
    missing = ""
    for name in (*_LIGHT_OPERATIONS, *_NETWORK_OPERATIONS):
        try:
            module = import_module(f"mednextseg.worker.operations.{name}")
        except (ImportError, OSError) as error:
            _log.warning("%s cannot be used: %s", name, error)
            missing = str(error)
            continue
        operations.update(module.OPERATIONS)
        latest_wins.update(getattr(module, "LATEST_WINS", {}))
        short.update(getattr(module, "SHORT", ()))
    return missing


def _skip_line(line: bytes, stream: BinaryIO) -> None:
    """Read on to the end of a line that is too long, without keeping it."""
    while line and not line.endswith(b"\n"):
        line = stream.readline(MAX_LINE_BYTES)
