"""Installing from a web address: resumed, stopped, checked, and never downloaded twice."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_models import copy_with

from mednextseg.errors import Cancelled
from mednextseg.models.install.installation import export_model, install
from mednextseg.models.install.licenses import LicenseNotAcceptedError
from mednextseg.models.library import installed_models, library_folder


def downloads() -> list[str]:
    """What is kept of downloads."""
    return sorted(path.name for path in (library_folder() / ".downloads").iterdir())


class _RangeServer(http.server.BaseHTTPRequestHandler):
    """Serves one file as real servers do; `cut` ends the first answers after so many bytes."""

    content, cut, ranges_honored, requests = b"", [], True, []

    def do_GET(self) -> None:
        start = 0
        asked = self.headers.get("Range")
        type(self).requests.append(asked)
        if self.path != "/model.zip":
            self.send_error(404)
            return
        if asked and self.ranges_honored:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                self.send_error(416)
                return
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        stop = start + type(self).cut.pop(0) if type(self).cut else len(self.content)
        self.wfile.write(self.content[start:stop])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, type[_RangeServer], str]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    content = export_model(package, tmp_path / "served.zip").read_bytes()
    _RangeServer.content, _RangeServer.cut, _RangeServer.requests, _RangeServer.ranges_honored = content, [], [], True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _RangeServer) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/model.zip", _RangeServer, hashlib.sha256(content).hexdigest()
        running.shutdown()


@pytest.mark.parametrize("ranges_honored", [True, False])
def test_an_interrupted_download_goes_on_where_it_stopped(server: tuple, ranges_honored: bool) -> None:
    url, handler, digest = server
    handler.cut, handler.ranges_honored = [5000], ranges_honored
    with pytest.raises(ConnectionError, match="after 5000 of"):
        install(url, sha256=digest)
    assert "tiny-net" not in installed_models()
    seen = []
    install(url, sha256=digest, progress=lambda done, total: seen.append((done, total)))
    assert handler.requests == [None, "bytes=5000-"]
    assert seen[-1] == (len(handler.content),) * 2 and "tiny-net" in installed_models()
    assert downloads() == []


def test_a_download_can_be_stopped_and_is_checked_before_use(server: tuple) -> None:
    url, _, digest = server
    with pytest.raises(Cancelled):
        install(url, sha256=digest, cancelled=lambda: True)
    with pytest.raises(ValueError, match="not the expected file"):
        install(url, sha256="0" * 64)
    assert downloads() in ([], [f"{digest[:12]}-model.zip.part"])
    with pytest.raises(ValueError, match="only with the SHA-256"):
        install(url)
    with pytest.raises(ConnectionError, match="answered 404"):
        install(url.replace("model.zip", "other.zip"), sha256=digest)
    with pytest.raises(ConnectionError, match="cannot be reached"):
        install("http://127.0.0.1:9/model.zip", sha256=digest)
    assert "tiny-net" not in installed_models()


def test_a_license_that_is_asked_about_costs_no_second_download(
    package: Path, tmp_path: Path, server: tuple[str, type[_RangeServer], str]
) -> None:
    url, handler, _ = server
    limited = copy_with(package, tmp_path / "limited", weights_license="CC BY-NC 4.0")
    handler.content = export_model(limited, tmp_path / "limited.zip").read_bytes()
    digest = hashlib.sha256(handler.content).hexdigest()
    with pytest.raises(LicenseNotAcceptedError):
        install(url, sha256=digest)
    assert len(handler.requests) == 1
    install(url, sha256=digest, accept_license=True)
    assert len(handler.requests) == 1 and "tiny-net" in installed_models()
    assert downloads() == []


def test_proxy_settings_are_honored(server: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    url, _, digest = server
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="proxy"):
        install(url, sha256=digest)
