"""Fixtures of the engine's tests: small real models."""

from pathlib import Path

import pytest
from tiny_models import ThresholdNetwork, ball, tiny_mednext, write_package

from mednextseg.models.loaded_model import LoadedModel, load_model

__all__ = ["ball", "threshold_model", "tiny_mednext", "tiny_model", "write_package"]


@pytest.fixture
def tiny_model(tmp_path: Path) -> LoadedModel:
    """A random but real MedNeXt with the labels "left" and "right"."""
    return load_model(write_package(tmp_path / "tiny", tiny_mednext(), ("left", "right")))


@pytest.fixture
def threshold_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """A model whose network labels voxels above half of the deviation: the geometry around it becomes visible."""
    monkeypatch.setattr(LoadedModel, "network_loaders", lambda self, device, precision: [ThresholdNetwork])
    return load_model(write_package(tmp_path / "tiny", tiny_mednext(num_classes=2), ("bright",)))
