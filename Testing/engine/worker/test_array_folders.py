"""Folders of killed workers are deleted; those of living ones, new ones and everything else stay."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mednextseg.worker.serving.array_folders import remove_stale_folders

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have no locks of folders")
_HOLD = """
import sys
from pathlib import Path
from mednextseg.worker.serving.array_folders import lock
print(lock(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def folder_of(parent: Path, name: str, age_s: float = 9000.0) -> Path:
    folder = parent / name
    folder.mkdir()
    (folder / "client0.raw").write_bytes(bytes(100))
    os.utime(folder, (time.time() - age_s,) * 2)
    return folder


def test_what_a_killed_worker_left_goes_and_what_a_living_one_holds_stays(tmp_path: Path) -> None:
    left, held, new, other = (folder_of(tmp_path, name) for name in ("mednextseg-a", "mednextseg-b", "mednextseg-c", "x-d"))
    os.utime(new)
    (tmp_path / "mednextseg-link").symlink_to(other)
    holders = [subprocess.Popen([sys.executable, "-c", _HOLD, str(f)], stdin=-1, stdout=-1, text=True) for f in (left, held)]
    assert all(holder.stdout.readline().strip() != "None" for holder in holders)
    remove_stale_folders(tmp_path)
    assert left.is_dir() and held.is_dir()
    holders[0].kill()
    holders[0].communicate()
    remove_stale_folders(tmp_path)
    assert not left.exists()
    assert held.is_dir() and new.is_dir() and (other / "client0.raw").is_file()
    holders[1].communicate("")
