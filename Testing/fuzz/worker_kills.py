"""kill -9 of the worker at a random moment of many requests: one answer to each, nothing left running or lying about, the next is right.

The panel's own client is driven, on the Qt of the test host. Starting a worker takes far longer than its answers, so each input starts one:
the worker that proves that all goes on is the one that the next input kills.
"""

import atexit
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fuzz.inputs import random_shape, shared_package, step_volume, steps_of
from fuzz.outcomes import HANG, LEFTOVER, WRONG, must, must_equal

REQUESTS_EACH = 20
_PATIENCE_S = 300.0
_host: list[object] = []
_clients: dict[Path, object] = {}


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """Requests to a worker that is killed among them, and one to the next."""
    host = _prepared(session)
    client = _clients.get(session) or _new_client(session)
    # The client's own folder outlives this input.
    temporary, tempfile.tempdir = tempfile.tempdir, str(session)
    try:
        with contextlib.ExitStack() as after_failure:
            after_failure.callback(lambda: _clients.pop(session).stop())  # the next input gets a new one
            _ready(host, client)
            answered = _killed(rng, host, client, session)
            _ready(host, client)
            volume = step_volume(rng, random_shape(rng))
            answers = [_Answer(client, volume, session, "after")]
            must(_waited(host, lambda: answers[0].all), HANG, "no answer from the new worker")
            must(answers[0].check() == "result", WRONG, f"the request after the end of a worker fails: {answers[0].all}")
            after_failure.pop_all()
    finally:
        tempfile.tempdir = temporary
    return f"{answered} of {REQUESTS_EACH} answered before"


class _Answer:
    """A request, and what came for it."""

    def __init__(self, client: object, volume: np.ndarray, session: Path, key: str) -> None:
        from mednextseg.geometry import Geometry

        self.all: list[object] = []
        self._volume = volume
        client.shareVolume(key, volume, Geometry(volume.shape, np.eye(4)))
        parameters = {"volumes": [key], "model": str(shared_package(session)), "device": "cpu"}
        client.request("segment", parameters, self.all.append, self.all.append)

    def check(self) -> str:
        """The code of the one answer; its labels must be right."""
        must(len(self.all) == 1, WRONG, f"{len(self.all)} answers to one request")
        if not isinstance(self.all[0], dict):
            return self.all[0].code
        must_equal(self.all[0]["labelmap"], steps_of(self._volume), "labels")
        return "result"


def _new_client(session: Path) -> object:
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    variables = {**os.environ, "OMP_NUM_THREADS": "1", "MEDNEXTSEG_HOME": str(session / "home"), "TMPDIR": str(session)}
    _clients[session] = WorkerClient(program=sys.executable, environment=variables)
    atexit.register(_clients[session].stop)
    return _clients[session]


def _prepared(session: Path) -> object:
    """Qt and Slicer's names, once a process."""
    if not _host:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))
        import slicerhost

        # As the host's own folder does.
        temporary, tempfile.tempdir = tempfile.tempdir, str(session)
        _host.append(slicerhost.start(qt=True))
        tempfile.tempdir = temporary
    return _host[0]


def _ready(host: object, client: object) -> None:
    client.start()
    must(_waited(host, lambda: client.hello is not None or client.state == "stopped"), HANG, "the worker does not start")
    must(client.hello is not None, WRONG, "the worker ended before it was ready")


def _killed(rng: np.random.Generator, host: object, client: object, session: Path) -> int:
    """Send requests and kill the worker somewhere in them; returns how many were answered before."""
    process_id, folder = client.hello["pid"], Path(client._folder.name)
    # Counted from the first request or, half of the time, from the moment at which so many are answered.
    delay_s = float(rng.choice([0.0, rng.uniform(0, 0.05), rng.uniform(0, 0.5)]))
    first = int(rng.integers(0, REQUESTS_EACH)) if rng.integers(2) else 0
    requests = [_Answer(client, step_volume(rng, random_shape(rng)), session, f"v{n % 4}-{n}") for n in range(REQUESTS_EACH)]
    must(_waited(host, lambda: sum(bool(request.all) for request in requests) >= first), HANG, "requests are not answered")
    end = time.monotonic() + delay_s
    _waited(host, lambda: time.monotonic() >= end)
    os.kill(process_id, signal.SIGKILL)
    ended = _waited(host, lambda: client.state == "stopped" and all(request.all for request in requests))
    must(ended, HANG, "no answer after the worker was killed")
    _waited(host, lambda: False, 0.1)  # second answers would come now
    codes = [request.check() for request in requests]
    must(set(codes) <= {"result", "worker_crashed"}, WRONG, f"answers are {sorted(set(codes))}")
    must(not client.pendingRequests, LEFTOVER, "requests stay pending")
    must(not folder.exists(), LEFTOVER, f"the worker's folder stays: {folder.name}")
    must(not _processes_of_group(process_id), LEFTOVER, "processes of the worker go on")
    return codes.count("result")


def _waited(host: object, condition: object, seconds: float = _PATIENCE_S) -> bool:
    """Whether it came true, with the event loop going on."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        host.process_events()
        time.sleep(0.002)
    return True


def _processes_of_group(group: int) -> list[int]:
    """Living processes of a process group, zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(folder.name))
    return found
