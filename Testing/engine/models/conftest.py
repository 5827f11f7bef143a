"""No test of this folder sees the library of whoever runs it."""

from pathlib import Path

import pytest
from tiny_models import tiny_mednext, write_package


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("made") / "tiny-net", tiny_mednext(), ("left", "right"))
