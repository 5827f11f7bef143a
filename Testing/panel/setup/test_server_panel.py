"""Computed by a server: two panels at once, from the fields of Set-up to segments and corrections. Everything on the loopback device."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from server_by_hand import environment

from mednextseg.machine import HOME_VARIABLE
from mednextseg.worker.remote.pinning import checked_fingerprint
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.ModuleLogic import MedNeXtSegmentLogic
from MedNeXtSegmentLib.ModulePanel import ModulePanel
from MedNeXtSegmentLib.Setup.Dependencies import SERVER_REQUIREMENTS
from panel_tools import MODULE, addVolume, segmentNames, writeTinyLibrary

PATIENCE_S = 200
CHOSEN = 1  # of the selector's items, the server


class Served:
    """`mednextseg serve` with the tiny models, which the computer of the panels does not have."""

    def __init__(self, home: Path) -> None:
        writeTinyLibrary(home)
        command = [sys.executable, "-u", "-m", "mednextseg", "serve", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(home))
        said = [self.process.stdout.readline().decode().strip() for _ in range(3)]
        self.address, self.fingerprint = said[0].split()[-1], said[1].split()[-1]
        self.token = Path(said[2].split()[-1]).read_text().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    served = Served(tmp_path_factory.mktemp("server"))
    yield served
    served.end()


@pytest.fixture
def makePanel(host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Panels of a computer without models of its own, not entered."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    made = []
    widget = host.load_module(str(MODULE)).widgetRepresentation().self()

    def make() -> ModulePanel:
        if not made:
            made.append((None, None, widget.panel))
            return widget.panel
        window, logic = qt.QWidget(), MedNeXtSegmentLogic()
        panel = ModulePanel(qt.QVBoxLayout(window), widget.resourcePath, logic)
        panel.followScene()
        made.append((window, logic, panel))
        return panel

    yield make
    for _window, logic, panel in made[1:]:
        panel.close()
        logic.close()
    qt.QSettings().clear()
    Settings.applyHome()


def fillIn(setup, address: str, fingerprint: str, token: str) -> None:
    ui = setup.ui
    ui.computerSelector.setCurrentIndex(CHOSEN)
    for edit, text in ((ui.serverAddressEdit, address), (ui.serverFingerprintEdit, fingerprint), (ui.serverTokenEdit, token)):
        edit.setText(text)
        edit.editingFinished.emit()


def connected(host, setup) -> str:
    """What Test connection says in the end."""
    setup.ui.testConnectionButton.click()
    host.wait_until(lambda: setup.ui.connectionLabel.text not in ("", "Connecting..."), PATIENCE_S)
    return setup.ui.connectionLabel.text


def test_the_fields_say_what_is_missing_and_who_computes(makePanel, tmp_path: Path) -> None:
    panel = makePanel()
    setup, ui = panel.setup, panel.setup.ui
    assert "on this computer" in ui.computesLabel.text and "nothing is sent" in ui.computesLabel.text
    assert ui.serverFields.isHidden() and setup.whatIsMissing() == ""
    ui.computerSelector.setCurrentIndex(CHOSEN)
    assert not ui.serverFields.isHidden() and "HOST:PORT" in setup.whatIsMissing()
    assert ui.packagesTable.rowCount == len(SERVER_REQUIREMENTS)
    fillIn(setup, "gpu.example.org:8765", "ab" * 32, "")
    assert "token" in setup.whatIsMissing() and not ui.testConnectionButton.enabled and ui.setUpSection.text == "Set-up"
    fillIn(setup, "gpu.example.org:8765", "ab" * 32, "t" * 16)
    assert setup.whatIsMissing() == "" and "gpu.example.org:8765: volumes are sent there" in ui.computesLabel.text
    assert ui.serverFingerprintEdit.text == checked_fingerprint("ab" * 32)
    assert os.environ[HOME_VARIABLE] == str(tmp_path / "servers" / ("AB" * 8))
    kept = [slicer.app.userSettings().value(key) for key in slicer.app.userSettings().allKeys()]
    assert "t" * 16 not in kept and "t" not in ui.serverTokenEdit.displayText
    ui.computerSelector.setCurrentIndex(0)
    assert os.environ[HOME_VARIABLE] == str(tmp_path) and ui.packagesTable.rowCount > len(SERVER_REQUIREMENTS)
    assert "on this computer" in ui.computesLabel.text


def test_another_token_or_certificate_is_said_beside_the_button(host, makePanel, server: Served) -> None:
    setup = makePanel().setup
    fillIn(setup, server.address, server.fingerprint, "not-the-token-of-the-server")
    assert "does not know this token" in connected(host, setup)
    fillIn(setup, server.address, "ab" * 32, server.token)
    assert f"its fingerprint is {server.fingerprint}" in connected(host, setup)


def test_two_panels_segment_and_correct_through_one_server_until_it_ends(host, makePanel, server: Served) -> None:
    panels = [makePanel(), makePanel()]
    for panel in panels:
        fillIn(panel.setup, server.address, server.fingerprint, server.token)
        panel.setup.server.update()
    assert connected(host, panels[0].setup).startswith("Connected in")
    shown = panels[0].segment
    host.wait_until(lambda: "tiny" in map(shown.model._modelIdAt, range(shown.ui.modelList.count)), PATIENCE_S)
    panels[1].segment.reloadModels()  # the cards lie in the one library of this computer
    volumes = [addVolume("first"), addVolume("second", seed=1)]
    parameters = panels[0]._logic.getParameterNode()
    for panel, volume in zip(panels, volumes, strict=True):
        parameters.inputVolume, parameters.modelId, parameters.outputSegmentation = volume, "tiny", None
        assert panel.segment.ui.applyButton.enabled, panel.segment.ui.applyButton.toolTip
        panel.segment.ui.applyButton.click()
    assert all(panel.segment.run is not None for panel in panels)
    host.wait_until(lambda: all(panel.segment.run is None for panel in panels), PATIENCE_S)
    made = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert sorted(node.GetName() for node in made) == ["first segmentation", "second segmentation"]
    assert all(segmentNames(node) == ["left", "right"] for node in made)
    paces = [key for key in slicer.app.userSettings().allKeys() if "SecondsPerPass" in key]
    assert paces == [f"MedNeXtSegment/SecondsPerPass/{Settings.serverName()}/tiny/cpu"]
    for panel, volume, node in zip(panels, volumes, sorted(made, key=lambda node: node.GetName()), strict=True):
        segmentId = node.GetSegmentation().GetNthSegmentID(0)
        before = slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume).copy()
        session = panel._logic.startRefinement(volume, node, segmentId)
        bounds = np.zeros(6)
        volume.GetRASBounds(bounds)
        session.addPoint(tuple(bounds.reshape(3, 2).mean(axis=1)))
        assert (slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, volume) != before).any()

    parameters.inputVolume, parameters.outputSegmentation = addVolume("third", shape=(60, 60, 60)), None
    panels[0].segment.ui.applyButton.click()
    server.end()
    host.wait_until(lambda: panels[0].segment.run is None, PATIENCE_S)
    assert "The connection to the server" in panels[0].segment.ui.statusLabel.text
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == len(made)
