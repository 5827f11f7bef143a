"""Tests of the panel on the test host: its fixtures, and one real worker process for all tests of a file."""

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
__all__ += ["representation", "show_view", "worker"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """Where the models of a file's tests are installed: nowhere, unless the file has a fixture of this name of its own."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def worker(host, home):
    """One real worker process for all tests of a file; it outlives the panels."""
    from mednextseg.machine import HOME_VARIABLE
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    class LastingWorker(WorkerClient):
        def stop(self) -> None:
            """The panel's end is not this worker's."""

    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(home)
    client = LastingWorker(environment={**os.environ, "OMP_NUM_THREADS": "1"})
    yield client
    WorkerClient.stop(client)
    if before is None:
        del os.environ[HOME_VARIABLE]
    else:
        os.environ[HOME_VARIABLE] = before


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
