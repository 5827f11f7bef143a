"""The Models tab over a library of its own, with one real worker for all tests of this folder."""

import os
from pathlib import Path

import pytest

from mednextseg.machine import HOME_VARIABLE


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that the worker knows as its home; every test finds it as it likes it."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def worker(host, home: Path):
    """A worker that outlives the panel of one test, since importing torch takes seconds."""
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    class LastingWorker(WorkerClient):
        def stop(self) -> None:
            """The panel's end is not this worker's."""

    client = LastingWorker(environment={**os.environ, HOME_VARIABLE: str(home)})
    yield client
    WorkerClient.stop(client)


@pytest.fixture
def widget(host, home: Path, worker, monkeypatch: pytest.MonkeyPatch):
    """The module's Python widget, entered, over a library with the models "tiny" and "two"."""
    from library_tools import TIMEOUT_S, emptied
    from MedNeXtSegmentLib.Worker import WorkerClient as workerClientModule
    from panel_tools import MODULE, writeTinyLibrary

    monkeypatch.setenv(HOME_VARIABLE, str(home))  # for each test: other folders' tests may run in between
    emptied(home)
    writeTinyLibrary(home)

    def lastingWorker(_program, environment=None, onReady=None, onLog=None):
        worker._onReady, worker._onLog = onReady, onLog
        return worker

    monkeypatch.setattr(workerClientModule, "WorkerClient", lastingWorker)
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.enter()
    worker.start()
    host.wait_until(lambda: worker.hello is not None, TIMEOUT_S)
    yield representation.self()
    worker._onReady = worker._onLog = None


@pytest.fixture
def library(widget):
    return widget.panel.models
