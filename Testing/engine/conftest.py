"""Fixtures of the engine's tests: small real models."""

import shutil
from pathlib import Path

import pytest
from tiny_models import ThresholdNetwork, ball, tiny_mednext, write_package

from mednextseg.models.loaded_model import LoadedModel, load_model

__all__ = ["ball", "threshold_model", "tiny_mednext", "tiny_model", "write_package"]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the models below are copies of."""
    folder = tmp_path_factory.mktemp("packages")
    return {
        "tiny": write_package(folder / "two" / "tiny", tiny_mednext(), ("left", "right")),
        "bright": write_package(folder / "one" / "tiny", tiny_mednext(num_classes=2), ("bright",)),
    }


@pytest.fixture
def tiny_model(packages: dict[str, Path], tmp_path: Path) -> LoadedModel:
    """A random but real MedNeXt with the labels "left" and "right"."""
    return load_model(shutil.copytree(packages["tiny"], tmp_path / "tiny"))


@pytest.fixture
def threshold_model(packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """A model whose network labels voxels above half of the deviation: the geometry around it becomes visible."""
    monkeypatch.setattr(LoadedModel, "network_loaders", lambda self, device, precision: [ThresholdNetwork])
    return load_model(shutil.copytree(packages["bright"], tmp_path / "tiny"))
