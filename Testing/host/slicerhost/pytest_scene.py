"""What the conftest.py of a folder of scene tests imports: slicer-core on the test host, without Qt and rendering.

Where the tests run inside a real Slicer, they get that one.
"""

import sys

import pytest

import slicerhost

from . import pytest_layers


def _runs_inside_slicer() -> bool:
    """Whether this Python is a Slicer application's own: there the application came up before any test did."""
    application = getattr(sys.modules.get("slicer"), "app", None)
    return hasattr(application, "mainApplicationName")


class _Application:
    """The running Slicer, with the two things that tests ask the host for."""

    @property
    def scene(self):
        import slicer

        return slicer.mrmlScene

    def clear_scene(self) -> None:
        self.scene.Clear(0)

    def unload_modules(self) -> None:
        """Modules of the application stay."""


def pytest_pycollect_makemodule(module_path, parent):
    if _runs_inside_slicer():
        return None
    reason = pytest_layers.missing_for_scene()
    if reason:
        return pytest_layers.skipped_module(parent, module_path, reason)
    slicerhost.start()  # here, so that test files may import slicer.ScriptedLoadableModule and the like at their top
    return None


@pytest.fixture(scope="session")
def host():
    """The running host: slicer.mrmlScene, slicer.app and slicer.modules are real. See Testing/host/README.md."""
    if _runs_inside_slicer():
        return _Application()
    return slicerhost.start()


@pytest.fixture(autouse=True)
def clean_scene(host):
    """Every test starts in an empty scene, without modules of an earlier test."""
    host.clear_scene()
    yield host.scene
    host.unload_modules()
    host.clear_scene()
