"""`mednextseg serve` from the shell to its end, with a real worker; what it shows, and what it never does."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from server_by_hand import RELAY, environment
from tiny_models import tiny_mednext, write_package
from worker_process import PATIENCE_S, WorkerByHand

from mednextseg.cli import main


def test_the_command_serves_the_models_of_its_home_and_ends_with_nothing_left(tmp_path: Path) -> None:
    write_package(tmp_path / "models" / "tiny", tiny_mednext(), ("left", "right"))
    command = [sys.executable, "-u", "-m", "mednextseg", "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path))
    said = [server.stdout.readline().decode().strip() for _ in range(3)]
    address, fingerprint = said[0].removeprefix("listening on "), said[1].removeprefix("certificate (SHA-256): ")
    token_file = Path(said[2].removeprefix("token: see "))
    token = token_file.read_text().strip()
    assert token_file.stat().st_mode & 0o077 == 0

    again = subprocess.run(command, capture_output=True, env=environment(tmp_path), timeout=PATIENCE_S, check=False)
    assert again.returncode == 1 and b"another server uses" in again.stderr

    arguments = (*RELAY, "--server", address, "--fingerprint", fingerprint.lower().replace(":", ""))
    client = WorkerByHand(arguments, environment(tmp_path / "client"), json.dumps({"token": token}).encode() + b"\n")
    assert client.hello["torch"] and client.hello["devices"]
    listed = client.ask("list_models")["value"]["models"]
    assert "tiny" in [model["id"] for model in listed] and str(tmp_path) not in str(listed)
    assert Path(f"/proc/{client.process.pid}/cmdline").read_bytes().find(token.encode()) == -1
    client.close()
    server.send_signal(signal.SIGTERM)
    out, logged = server.communicate(timeout=PATIENCE_S)
    assert token.encode() not in out + logged and b"session 1" in logged
    assert list((tmp_path / "server" / "sessions").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--listen", "nowhere"], "HOST:PORT"),
        (["--listen", "127.0.0.1:0", "--sessions", "0"], "larger numbers"),
        (["--listen", "127.0.0.1:0", "--token-file", "no-such-file"], "there is no token file"),
        (["--listen", "203.0.113.1:0"], "assign"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    assert main(["serve", *arguments]) == 1
    said = capsys.readouterr().err
    assert text in said and said.count("\n") == 1


def test_a_short_token_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path))
    (tmp_path / "token").write_text("hunter2\n")
    assert main(["serve", "--listen", "127.0.0.1:0", "--token-file", str(tmp_path / "token")]) == 1
    said = capsys.readouterr().err
    assert "at least 16" in said and "hunter2" not in said
