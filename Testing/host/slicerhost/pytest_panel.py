"""What the conftest.py of a folder of panel tests imports: Qt, rendered views and a simulated mouse.

The folder's tests are skipped as a whole where libraries are missing.
"""

import pytest

import slicerhost

from . import pytest_layers
from .views import rendering


def pytest_pycollect_makemodule(module_path, parent):
    reason = pytest_layers.missing_for_scene() or rendering.missing_for_panel()
    if reason:
        return pytest_layers.skipped_module(parent, module_path, reason)
    slicerhost.start(qt=True)  # here, so that test files may import qt and ctk at their top
    return None


@pytest.fixture(scope="session")
def host():
    """The running host with Qt. See Testing/host/README.md."""
    return slicerhost.start(qt=True)


@pytest.fixture(autouse=True)
def clean_panel(host):
    """Empty scene before; afterwards no widget may carry an attribute that Qt does not know, and all windows go."""
    from .widgets import qt_shim

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
    from .views.slice_view import SliceView

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
    from .views.three_d_view import ThreeDView

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
    from .views.qt_views import ViewWidget

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
