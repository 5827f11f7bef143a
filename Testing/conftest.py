"""What every layer of tests shares: where the data beside the checkout lies, and fixtures for tiny models."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = Path(os.environ.get("MEDNEXTSEG_SHARED", _ROOT.parent / "shared"))


def _folder(name: str) -> Path:
    folder = _SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the {name} folder beside the checkout is absent (or set MEDNEXTSEG_SHARED)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real labeled images; tests that use them skip where the folder is absent."""
    return _folder("data")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Reference outputs of the official networks; tests that use them skip where the folder is absent."""
    return _folder("golden")
