"""Tests of the panel with Qt, rendered views and a simulated mouse. Skipped as a whole where libraries are missing."""

import os

import pytest

from slicerhost import pytest_layers


def pytest_pycollect_makemodule(module_path, parent):
    reason = pytest_layers.missing_for_scene() or _missing_for_panel()
    if reason:
        return pytest_layers.skipped_module(parent, module_path, reason)
    import slicerhost

    slicerhost.start(qt=True)  # here, so that test files may import qt and ctk at their top
    return None


def _missing_for_panel():
    from slicerhost.views import rendering

    return rendering.missing_for_panel()


@pytest.fixture(scope="session")
def host():
    """The running host with Qt. See Testing/host/README.md."""
    import slicerhost

    return slicerhost.start(qt=True)


@pytest.fixture(autouse=True)
def clean_panel(host):
    """Empty scene before; afterwards no widget may carry an attribute that Qt does not know, and all windows go."""
    from slicerhost.widgets import qt_shim

    host.clear_scene()
    yield host.scene
    windows = host.app.topLevelWidgets()
    stray = {}
    for window in windows:
        stray.update(qt_shim.stray_attributes(window))
    host.unload_modules()
    for window in host.app.topLevelWidgets():
        window.close()
        window.deleteLater()
    host.process_events()
    host.clear_scene()
    assert not stray, f"Attributes that PythonQt would refuse: {stray}"


@pytest.fixture
def make_slice_view(host):
    """Factory with the arguments of SliceView(name, orientation, size); the views are closed at the end."""
    from slicerhost.views.slice_view import SliceView

    views = []

    def make(*args, **kwargs):
        views.append(SliceView(*args, **kwargs))
        return views[-1]

    yield make
    for view in views:
        view.close()


@pytest.fixture
def make_three_d_view(host):
    """Factory with the arguments of ThreeDView(name, size); the views are closed at the end."""
    from slicerhost.views.three_d_view import ThreeDView

    views = []

    def make(*args, **kwargs):
        views.append(ThreeDView(*args, **kwargs))
        return views[-1]

    yield make
    for view in views:
        view.close()


@pytest.fixture
def show_view(host):
    """Factory: show_view(view, width=400, height=400) -> the ViewWidget, shown and painted once."""
    from slicerhost.views.qt_views import ViewWidget

    widgets = []

    def show(view, width=400, height=400):
        widget = ViewWidget(view)
        widgets.append(widget)
        widget.resize(width, height)
        widget.show()
        host.process_events()
        widget.render_now()
        return widget

    yield show
    for widget in widgets:
        widget.close_view()


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
