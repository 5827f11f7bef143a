"""kill -9 of the worker at a random moment of a request: one message for it, nothing left running or lying about, the next one is right.

The panel's own client is driven, on the Qt of the test host.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fuzz.inputs import shared_package, step_volume, steps_of
from fuzz.outcomes import HANG, LEFTOVER, WRONG, must, must_equal

_PATIENCE_S = 120.0
_host: list[object] = []


def try_one(rng: np.random.Generator, folder: Path, session: Path) -> str:
    """A request to a worker that is killed, and one to the next."""
    host = _prepared(session)
    from mednextseg.geometry import Geometry
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    variables = {**os.environ, "OMP_NUM_THREADS": "1", "MEDNEXTSEG_HOME": str(session / "home")}
    client = WorkerClient(program=sys.executable, environment=variables)
    try:
        volume = step_volume(rng, tuple(int(n) for n in rng.integers(6, 30, 3)))
        geometry = Geometry(volume.shape, np.eye(4))
        parameters = {"model": str(shared_package(session)), "device": "cpu", "recipe": {"overlap": 0.5}}
        _ready(host, client)
        ended = _killed(rng, host, client, (volume, geometry, parameters))
        _ready(host, client)
        answer = _asked(host, client, volume, geometry, parameters)
        must(isinstance(answer, dict), WRONG, f"the request after the end of a worker fails: {answer}")
        must_equal(answer["labelmap"], steps_of(volume), "labels after the end of a worker")
    finally:
        client.stop()
    return "cut off" if ended else "answered before"


def _prepared(session: Path) -> object:
    """Qt and Slicer's names, once a process."""
    if not _host:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))
        import slicerhost

        # The host's own folder outlives this input.
        temporary, tempfile.tempdir = tempfile.tempdir, str(session)
        _host.append(slicerhost.start(qt=True))
        tempfile.tempdir = temporary
    return _host[0]


def _ready(host: object, client: object) -> None:
    client.start()
    must(_waited(host, lambda: client.hello is not None or client.state == "stopped"), HANG, "the worker does not start")
    must(client.hello is not None, WRONG, "the worker ended before it was ready")


def _killed(rng: np.random.Generator, host: object, client: object, request: tuple) -> bool:
    """Send a request and kill the worker somewhere in it; returns whether that came before the answer."""
    volume, geometry, parameters = request
    process_id, folder, answers = client.hello["pid"], Path(client._folder.name), []
    delay_s = float(rng.choice([0.0, rng.uniform(0, 0.05), rng.uniform(0, 0.5), rng.uniform(0, 2)]))
    client.shareVolume(f"v{process_id}", volume, geometry)
    client.request("segment", {"volumes": [f"v{process_id}"], **parameters}, answers.append, answers.append)
    end = time.monotonic() + delay_s
    _waited(host, lambda: time.monotonic() >= end)
    os.kill(process_id, signal.SIGKILL)
    must(_waited(host, lambda: answers and client.state == "stopped"), HANG, "no answer after the worker was killed")
    _waited(host, lambda: False, 0.2)  # a second answer would come now
    must(len(answers) == 1, WRONG, f"{len(answers)} answers to one request")
    must(not client.pendingRequests, LEFTOVER, "requests stay pending")
    must(not folder.exists(), LEFTOVER, f"the worker's folder stays: {folder.name}")
    must(not _processes_of_group(process_id), LEFTOVER, "processes of the worker go on")
    if isinstance(answers[0], dict):
        must_equal(answers[0]["labelmap"], steps_of(volume), "labels that came before the end of the worker")
        return False
    must(answers[0].code == "worker_crashed", WRONG, f"the answer is {answers[0].code}: {answers[0]}")
    return True


def _asked(host: object, client: object, volume: np.ndarray, geometry: object, parameters: dict) -> object:
    answers: list[object] = []
    client.shareVolume("after", volume, geometry)
    client.request("segment", {"volumes": ["after"], **parameters}, answers.append, answers.append)
    must(_waited(host, lambda: answers), HANG, "no answer from the new worker")
    client.request("close_volume", {"volume": "after"})
    client._volumeKeys.remove("after")
    return answers[0]


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
