"""What an interrupted program left in the library goes; what another one is working on stays."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mednextseg.models.install.workspace import remove_stale, workspace

HOST = "".join(c for c in socket.gethostname().lower() if c.isascii() and c.isalnum()) or "host"
posix_only = pytest.mark.skipif(os.name != "posix", reason="other systems cannot be asked for a process")


def left_behind(library: Path, name: str, age_days: float = 0.0) -> Path:
    (library / name).mkdir(parents=True)
    (library / name / "weights.safetensors").write_bytes(b"half")
    for path in (library / name / "weights.safetensors", library / name):
        os.utime(path, (time.time() - 86400 * age_days,) * 2)
    return library / name


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@posix_only
def test_the_work_of_a_program_that_is_gone_is_removed_at_once(tmp_path: Path) -> None:
    gone = [left_behind(tmp_path, f".{kind}-{HOST}-{ended_process()}-abc") for kind in ("importing", "installing", "removing")]
    mine = left_behind(tmp_path, f".importing-{HOST}-{os.getpid()}-abc", age_days=3)
    other = left_behind(tmp_path, f".importing-{HOST}-{os.getppid()}-abc", age_days=3)
    remove_stale(tmp_path)
    assert not any(folder.exists() for folder in gone)
    assert mine.is_dir() and other.is_dir()  # their owners run


def test_where_the_owner_cannot_be_asked_age_decides(tmp_path: Path) -> None:
    old = [left_behind(tmp_path, name, age_days=2) for name in (".importing-elsewhere-7-abc", ".installing-x1y2")]
    new = [left_behind(tmp_path, name) for name in (".importing-elsewhere-8-abc", ".installing-z3")]
    touched = left_behind(tmp_path, ".unpacking-elsewhere-9-abc", age_days=2)
    (touched / "now.json").write_text("{}")
    models = [left_behind(tmp_path, name, age_days=900) for name in ("liver-1.0.0", ".hidden", "importing-1-2-3")]
    remove_stale(tmp_path)
    assert not any(folder.exists() for folder in old)
    assert all(folder.is_dir() for folder in (*new, touched, *models))


def test_links_are_never_followed(tmp_path: Path) -> None:
    precious = left_behind(tmp_path / "elsewhere", "data", age_days=9)
    library = tmp_path / "library"
    library.mkdir()
    (library / ".importing-elsewhere-1-abc").symlink_to(precious)
    remove_stale(library)
    assert (precious / "weights.safetensors").is_file()


def test_forgotten_downloads_are_removed_after_a_week(tmp_path: Path) -> None:
    downloads = tmp_path / ".downloads"
    downloads.mkdir()
    for name, days in (("old.zip.part", 8), ("new.zip.part", 1)):
        (downloads / name).write_bytes(b"x")
        os.utime(downloads / name, (time.time() - 86400 * days,) * 2)
    remove_stale(tmp_path)
    assert [file.name for file in downloads.iterdir()] == ["new.zip.part"]


def test_a_workspace_is_gone_at_the_end_whatever_happens_and_cleans_up_before(tmp_path: Path) -> None:
    old = left_behind(tmp_path / "library", ".importing-elsewhere-1-abc", age_days=2)
    with pytest.raises(RuntimeError), workspace(tmp_path / "library", "importing") as folder:
        assert folder.is_dir() and not old.exists() and str(os.getpid()) in folder.name
        raise RuntimeError
    assert list((tmp_path / "library").iterdir()) == []
