"""A model comes in from a web address only by a click and with its hash; the license is asked for where it restricts."""

import contextlib
import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
import qt

from library_tools import TIMEOUT_S, ended, importedFrom, namesShown, writeStateDictWithCard
from mednextseg.models.library import sha256_of


class QuietServer(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, slowly where the name says so."""

    release = threading.Event()
    asked_for: list[str] = []  # noqa: RUF012  (of all servers; every test has one)

    def do_GET(self) -> None:
        self.asked_for.append(self.path)
        super().do_GET()

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
        QuietServer.asked_for.clear()
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
    assert widget.panel.segment._parameterNode.modelId == "two"
    library.ui.urlEdit.setText(f"{address}/nowhere.zip")
    library.ui.installButton.click()
    assert "answered 404" in ended(host, library)


def test_asking_for_the_license_costs_no_second_download(host, library, home: Path, server, tmp_path: Path) -> None:
    folder, address = server
    importedFrom(host, library, writeStateDictWithCard(tmp_path / "source"))
    library.choosePath = lambda kind, suggestedName="": str(folder / "mine.zip")
    library.ui.exportButton.click()
    ended(host, library)
    shutil.rmtree(home / "models" / "mine-2.1")
    library.ui.urlEdit.setText(f"{address}/mine.zip")
    library.ui.sha256Edit.setText(sha256_of(folder / "mine.zip"))
    library.askToAcceptLicense = lambda text: False
    library.ui.installButton.click()
    assert "was not accepted" in ended(host, library)
    library.askToAcceptLicense = lambda text: True
    library.ui.installButton.click()
    assert "mine 2.1 is installed" in ended(host, library)
    assert QuietServer.asked_for == ["/mine.zip"]
    assert list((home / "models" / ".downloads").iterdir()) == []


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


def test_the_panel_shows_the_license_before_it_is_accepted(host, library) -> None:
    seen: list[str] = []

    def accept() -> None:
        box = qt.QApplication.activeModalWidget()
        seen.extend([box.property("detailedText"), box.property("informativeText")])
        box.button(qt.QMessageBox.Ok if len(seen) == 2 else qt.QMessageBox.Cancel).click()

    qt.QTimer.singleShot(100, accept)
    assert library.askToAcceptLicense("Research only\n\nNo resale.")
    qt.QTimer.singleShot(100, accept)
    assert not library.askToAcceptLicense("Research only\n\nNo resale.")
    assert seen == ["Research only\n\nNo resale.", "Research only"] * 2
    host.process_events()
    assert library.ui.modelsTable.window().findChildren(qt.QMessageBox) == []
