"""The Models tab with a real worker: in, out, verified and removed; what is hostile or damaged changes nothing."""

import contextlib
import functools
import http.server
import json
import os
import pickle
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import qt
from conftest import tiny_mednext
from safetensors.torch import save_file

from mednextseg.models.library import HOME_VARIABLE, sha256_of
from MedNeXtSegmentLib import WorkerClient as workerClientModule
from MedNeXtSegmentLib.InProcessEngine import segmentInProcess
from MedNeXtSegmentLib.SlicerBridge import arrayAndGeometryFromVolume
from panel_tools import MODULE, addVolume, segmentNames, voxelsOf, writeTinyLibrary

TIMEOUT_S = 300


class MovableWorker(workerClientModule.WorkerClient):
    """A worker that outlives the panel of one test, since importing torch takes seconds, and sees the library of the current one."""

    def stop(self) -> None:
        """The panel's end is not this worker's."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder that the worker knows as its home; every test finds it as it likes it."""
    folder = tmp_path_factory.mktemp("home")
    previous = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(folder)
    yield folder
    if previous is None:
        del os.environ[HOME_VARIABLE]
    else:
        os.environ[HOME_VARIABLE] = previous


@pytest.fixture(scope="module")
def worker(host, home: Path):
    client = MovableWorker()
    yield client
    workerClientModule.WorkerClient.stop(client)


@pytest.fixture
def widget(host, home: Path, worker, monkeypatch: pytest.MonkeyPatch):
    """The module's Python widget, entered, over a library with the models "tiny" and "two"."""
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
    return widget.panel.library


def emptied(home: Path) -> None:
    """A computer on which nothing was installed yet."""
    shutil.rmtree(home)
    home.mkdir()


def ended(host, library) -> str:
    """Wait for the change under way; returns what the panel then says."""
    host.wait_until(lambda: not library.logic.isBusy, TIMEOUT_S)
    assert library.ui.progressBar.isHidden() and library.ui.cancelButton.isHidden()
    return library.ui.statusLabel.text


def importedFrom(host, library, path: Path) -> str:
    """Click "Import file..." or "Import folder..." and choose the path."""
    library.choosePath = lambda kind, suggestedName="": str(path)
    (library.ui.importFolderButton if path.is_dir() else library.ui.importFileButton).click()
    assert not library.ui.progressBar.isHidden() and not library.ui.importFileButton.enabled
    return ended(host, library)


def namesShown(library) -> list[str]:
    return [model.name for model in library._models]


def filesOf(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def ranOn(host, widget, volume):
    """Apply on the Segment tab; returns the segmentation."""
    panel = widget.panel.autoSegment
    panel._parameterNode.inputVolume = volume
    assert panel.ui.applyButton.enabled, panel.ui.applyButton.toolTip
    panel.ui.applyButton.click()
    host.wait_until(lambda: panel.run is None, TIMEOUT_S)
    assert panel.ui.statusLabel.text.startswith("Done in"), panel.ui.statusLabel.text
    return panel._parameterNode.outputSegmentation


def writeStateDictWithCard(folder: Path) -> Path:
    """Weights as somebody trained them, and the card that describes them beside the file."""
    folder.mkdir()
    save_file(tiny_mednext(seed=1).state_dict(), folder / "mine.safetensors")
    card = {
        "id": "mine",
        "version": "2.1",
        "title": "My own network",
        "task": "segment",
        "channels": [{"name": "MR", "modality": "MR", "normalization": {"scheme": "zscore"}}],
        "labels": [{"value": v, "name": n, "color": [40 * v, 200, 90]} for v, n in ((1, "cortex"), (2, "medulla"))],
        "weights_license": "for use in our clinic only",
        "spacing_kji_mm": [1.0, 1.0, 1.0],
        "patch_size_kji": [16, 16, 32],
        "orientation": "RAS",
    }
    (folder / "mine.json").write_text(json.dumps(card), encoding="utf-8")
    return folder / "mine.safetensors"


def test_the_tab_lists_every_model_with_size_and_place(widget, library, home: Path) -> None:
    assert [widget.panel.tabs.tabText(n) for n in range(widget.panel.tabs.count)][-1] == "Models"
    assert str(home / "models") in library.ui.libraryPathLabel.text
    table = library.ui.modelsTable
    rows = {table.item(row, 0).text(): [table.item(row, column).text() for column in (1, 2)] for row in range(table.rowCount)}
    size = sum(path.stat().st_size for path in (home / "models" / "tiny").iterdir())
    assert rows["Tiny head model"] == ["1.0.0", f"{size / 1e6:.1f} MB"]
    library.select("tiny@1.0.0")
    assert library.ui.folderLabel.text == str(home / "models" / "tiny")
    bundled = next(model for model in library._models if model.isBundled)
    library.select(bundled.name)
    assert "part of the extension" in library.ui.folderLabel.text
    assert not library.ui.removeButton.enabled and "part of the extension" in library.ui.removeButton.toolTip
    assert library.ui.verifyButton.enabled and library.ui.exportButton.enabled


def test_plain_weights_with_a_card_are_in_the_list_at_once_and_run(host, widget, library, tmp_path: Path) -> None:
    assert "mine 2.1 is installed" in importedFrom(host, library, writeStateDictWithCard(tmp_path / "source"))
    panel = widget.panel.autoSegment
    listed = [panel.model._modelIdAt(row) for row in range(panel.ui.modelList.count)]
    assert "mine" in listed and panel._parameterNode.modelId == "mine"
    for word in ("My own network", "cortex, medulla", "for use in our clinic only"):
        assert word in panel.ui.modelCardBrowser.toPlainText() or word in panel.ui.modelList.currentItem().text()
    assert library.selected.name == "mine@2.1"
    volume = addVolume()
    node = ranOn(host, widget, volume)
    assert segmentNames(node) == ["cortex", "medulla"]
    array, geometry = arrayAndGeometryFromVolume(volume)
    expected = segmentInProcess(array, geometry, "mine", None, None, None, "cpu")[0]
    for value, name in enumerate(("cortex", "medulla"), start=1):
        assert np.array_equal(voxelsOf(node, name, volume), expected == value)
        assert (expected == value).any()


def test_an_official_nnunet_folder_imports_from_the_tasks_level_and_runs(
    host, widget, library, golden: Path, tmp_path: Path
) -> None:
    """That its labels are those of the official program is a test of the engine (test_importers_nnunet.py)."""
    sys.path.insert(0, str(golden))
    import make_checkpoints

    sys.path.remove(str(golden))
    checkpoint = make_checkpoints.complete(tmp_path)[0]
    text = importedFrom(host, library, checkpoint.parents[2])
    assert "is installed" in text, text
    card = widget.panel.autoSegment.model.card
    assert card.id == library.selected.card.id
    assert checkpoint.parents[2].name.split("_")[-1].lower() in card.id and [c.modality for c in card.channels] == ["CT"]
    volume = addVolume("CT")
    node = ranOn(host, widget, volume)
    assert segmentNames(node) == [label.name for label in card.labels]
    assert any(voxelsOf(node, label.name, volume).any() for label in card.labels)


class RunsCode:
    """Pickled, a call of os.system."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self):
        return os.system, (self._command,)


def hostileFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "hostile").with_suffix(".pth")
    path.write_bytes(pickle.dumps({"state_dict": RunsCode(f"touch {folder / 'was-here'}")}))
    return path


def truncatedFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "truncated")
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def undescribedFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "undescribed")
    path.with_suffix(".json").unlink()
    return path


def truncatedZip(folder: Path) -> Path:
    path = folder / "package.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    return path


def emptyFolder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.parametrize("make", [hostileFile, truncatedFile, undescribedFile, truncatedZip, emptyFolder])
def test_what_cannot_be_imported_is_one_sentence_and_changes_nothing(
    host, widget, library, home: Path, tmp_path: Path, make
) -> None:
    before, shown, chosen = filesOf(home), namesShown(library), widget.panel.autoSegment._parameterNode.modelId
    text = importedFrom(host, library, make(tmp_path))
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and "log" not in text, text
    assert not (tmp_path / "was-here").exists()
    assert filesOf(home) == before and namesShown(library) == shown
    assert widget.panel.autoSegment._parameterNode.modelId == chosen
    assert library.ui.importFileButton.enabled


def test_a_model_exported_here_imports_on_a_clean_computer_after_its_licence(
    host, widget, library, home: Path, tmp_path: Path
) -> None:
    importedFrom(host, library, writeStateDictWithCard(tmp_path / "source"))
    weights = sha256_of(home / "models" / "mine-2.1" / "weights.safetensors")
    archive = tmp_path / "mine-2.1.zip"
    library.choosePath = lambda kind, suggestedName="": str(tmp_path / suggestedName)
    library.ui.exportButton.click()
    text = ended(host, library)
    assert sha256_of(archive) in text
    emptied(home)  # the other computer: the archive is all it gets
    library.enter()
    widget.panel.autoSegment.enter()
    assert "mine@2.1" not in namesShown(library)
    asked: list[str] = []

    def refuse(text: str) -> bool:
        asked.append(text)
        return False

    library.askToAcceptLicense = refuse
    assert "was not accepted" in importedFrom(host, library, archive)
    assert "mine@2.1" not in namesShown(library)
    library.askToAcceptLicense = lambda text: asked.append(text) or True
    assert "mine 2.1 is installed" in importedFrom(host, library, archive)
    assert len(asked) == 2 and all(text.startswith("for use in our clinic only") for text in asked)
    assert sha256_of(home / "models" / "mine-2.1" / "weights.safetensors") == weights
    assert widget.panel.autoSegment.model.card.title == "My own network"
    assert segmentNames(ranOn(host, widget, addVolume())) == ["cortex", "medulla"]


def test_remove_asks_in_the_panel_and_then_deletes(host, widget, library, home: Path) -> None:
    panel = widget.panel.autoSegment
    panel._parameterNode.modelId = "tiny"
    ranOn(host, widget, addVolume())  # the worker has it open
    library.select("tiny@1.0.0")
    library.ui.removeButton.click()
    assert library.ui.removeButton.text == "Delete" and "Tiny head model 1.0.0" in library.ui.statusLabel.text
    library.select("two@1.0.0")  # thought better of it
    assert library.ui.removeButton.text == "Remove" and library.ui.statusLabel.text == ""
    assert (home / "models" / "tiny").is_dir()
    library.select("tiny@1.0.0")
    library.ui.removeButton.click()
    library.ui.removeButton.click()
    assert "Tiny head model 1.0.0 was deleted." in ended(host, library)
    assert not (home / "models" / "tiny").exists() and (home / "models" / "two").is_dir()
    assert "tiny@1.0.0" not in namesShown(library)
    assert not panel.ui.applyButton.enabled and "not installed" in panel.ui.modelCardBrowser.toPlainText()


def test_verify_tells_an_altered_file_from_a_whole_one(host, library, home: Path) -> None:
    library.select("tiny@1.0.0")
    library.ui.verifyButton.click()
    assert ended(host, library) == "The files of Tiny head model are those of its card."
    weights = home / "models" / "tiny" / "weights.safetensors"
    altered = bytearray(weights.read_bytes())
    altered[-5] ^= 1
    weights.write_bytes(altered)
    library.ui.verifyButton.click()
    assert "weights.safetensors is truncated or altered" in ended(host, library)
    library.choosePath = lambda kind, suggestedName="": str(home / suggestedName)
    library.ui.exportButton.click()
    assert "damaged" in ended(host, library) and not list(home.glob("*.zip*"))


class QuietServer(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, slowly where the name says so."""

    release = threading.Event()

    def log_message(self, *_args) -> None:
        """Nothing on the console."""

    def copyfile(self, source, outputfile) -> None:
        if "slow" not in self.path:
            super().copyfile(source, outputfile)
            return
        with contextlib.suppress(ConnectionError):
            while block := source.read(50_000):
                outputfile.write(block)
                self.release.wait(0.2)


@pytest.fixture
def server(tmp_path: Path):
    """A web server on this computer; (its folder, its address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietServer, directory=str(folder))) as web:
        QuietServer.release.clear()
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{web.server_address[1]}"
        QuietServer.release.set()
        web.shutdown()


def test_a_web_address_installs_only_what_has_the_stated_hash(host, widget, library, home: Path, server) -> None:
    folder, address = server
    library.select("two@1.0.0")
    library.choosePath = lambda kind, suggestedName="": str(folder / "two.zip")
    library.ui.exportButton.click()
    ended(host, library)
    shutil.rmtree(home / "models" / "two")
    assert not library.ui.installButton.enabled and "SHA-256" in library.ui.installButton.toolTip
    library.ui.urlEdit.setText(f"{address}/two.zip")
    library.ui.sha256Edit.setText("0" * 64)
    library.ui.installButton.click()
    assert "SHA-256 differs" in ended(host, library) and "two@1.0.0" not in namesShown(library)
    library.ui.sha256Edit.setText(sha256_of(folder / "two.zip"))
    library.ui.installButton.click()
    assert "two 1.0.0 is installed" in ended(host, library)
    assert widget.panel.autoSegment._parameterNode.modelId == "two"
    library.ui.urlEdit.setText(f"{address}/nowhere.zip")
    library.ui.installButton.click()
    assert "answered 404" in ended(host, library)


def test_a_download_shows_its_progress_and_stops_on_cancel(host, library, home: Path, server) -> None:
    folder, address = server
    (folder / "slow.zip").write_bytes(bytes(40_000_000))
    library.ui.urlEdit.setText(f"{address}/slow.zip")
    library.ui.sha256Edit.setText("0" * 64)
    shown = namesShown(library)
    library.ui.installButton.click()
    host.wait_until(lambda: library.ui.progressBar.value > 0, TIMEOUT_S)
    assert library.ui.statusLabel.text.startswith("Downloading")
    library.ui.cancelButton.click()
    assert not library.ui.cancelButton.enabled
    assert "cancelled" in ended(host, library)
    assert namesShown(library) == shown and library.ui.installButton.enabled


def test_the_panel_shows_the_licence_before_it_is_accepted(host, library) -> None:
    seen: list[str] = []

    def accept() -> None:
        box = next(window for window in host.app.topLevelWidgets() if isinstance(window, qt.QMessageBox))
        seen.extend([box.property("detailedText"), box.property("informativeText")])
        box.button(qt.QMessageBox.Ok if len(seen) == 2 else qt.QMessageBox.Cancel).click()

    qt.QTimer.singleShot(100, accept)
    assert library.askToAcceptLicense("Research only\n\nNo resale.")
    qt.QTimer.singleShot(100, accept)
    assert not library.askToAcceptLicense("Research only\n\nNo resale.")
    assert seen == ["Research only\n\nNo resale.", "Research only"] * 2
