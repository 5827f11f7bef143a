"""Fixtures of the tests that look at the panel before any run: its widget, not entered, so that no worker process is started.

A conftest.py imports it before there is a scene or Qt: so these are imported inside.
"""

from pathlib import Path

import pytest

from mednextseg.machine import HOME_VARIABLE


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from panel_tools import writeTinyLibrary

    home = tmp_path_factory.mktemp("home")
    writeTinyLibrary(home)
    return home


@pytest.fixture
def widget(host, library: Path, monkeypatch: pytest.MonkeyPatch):
    """The module's Python widget, not entered: so no worker is started."""
    import qt

    from panel_tools import MODULE

    monkeypatch.setenv(HOME_VARIABLE, str(library))
    representation = host.load_module(str(MODULE)).widgetRepresentation()
    representation.resize(480, 1150)
    representation.show()
    yield representation.self()
    qt.QSettings().clear()


@pytest.fixture
def panel(widget):
    widget.panel.segment.enter()
    return widget.panel.segment


def choose(panel, volume=None, modelId: str = "tiny") -> None:
    panel._parameterNode.inputVolume = volume
    panel._parameterNode.modelId = modelId
