"""Tests of the panel on the test host: its fixtures, and real worker processes that outlive a test."""

import os

import pytest

from slicerhost.pytest_panel import (
    clean_panel,
    host,
    make_slice_view,
    make_three_d_view,
    pytest_pycollect_makemodule,
    show_view,
)

__all__ = ["clean_panel", "home", "host", "make_slice_view", "make_three_d_view", "pytest_pycollect_makemodule"]
__all__ += ["representation", "show_view", "slow_answers", "worker"]


@pytest.fixture
def slow_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop has its turns while the worker is waited for, as where answers take long."""
    monkeypatch.setattr("MedNeXtSegmentLib.Worker.EventLoopTurns._LONGEST_MS", 0)


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def home(empty_home):
    """Where the models of a file's tests are installed: nowhere, unless the file has a fixture of this name of its own."""
    return empty_home


@pytest.fixture(scope="session")
def workers():
    """Real worker processes, by the folder of their models: files that install none share one, which takes seconds to start."""
    clients = {}
    yield clients
    for client in clients.values():
        super(type(client), client).stop()


@pytest.fixture(scope="module")
def worker(host, home, workers):
    """One real worker process for all tests of a file; it outlives the panels."""
    from mednextseg.machine import HOME_VARIABLE
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    class LastingWorker(WorkerClient):
        def stop(self) -> None:
            """The panel's end is not this worker's."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        if home not in workers:
            workers[home] = LastingWorker(environment={**os.environ, "OMP_NUM_THREADS": "1"})
        yield workers[home]


@pytest.fixture
def representation(host, worker, monkeypatch: pytest.MonkeyPatch):
    """The module's panel, entered, on the file's worker."""
    from MedNeXtSegmentLib.Worker import WorkerClient as worker_client_module
    from panel_tools import MODULE

    def lasting_worker(_program, environment=None, onReady=None, onLog=None):
        worker._onReady, worker._onLog = onReady, onLog
        return worker

    monkeypatch.setattr(worker_client_module, "WorkerClient", lasting_worker)
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.enter()
    worker.start()
    host.wait_until(lambda: worker.hello is not None, 120)
    yield representation
    worker._onReady = worker._onLog = None
