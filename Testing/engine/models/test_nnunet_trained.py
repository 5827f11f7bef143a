"""What nnU-Net's own code planned, prepared and trained is imported, and gives the labels of its own predictor.

The folders come from nnunet_training.py, in a package beside this file; `make bench` trains them anew and names them in NNUNET_TRAINED.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nnunet_training import CASCADE, DATASET, LABELS_FILE, PLAIN, SPACING_KJI_MM, TRAINED, phantom

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.segment.auto_segmenter import segment

PACKAGE = Path(os.environ.get("NNUNET_TRAINED") or Path(__file__).with_name("nnunet_trained.zip"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnunet")
    with zipfile.ZipFile(PACKAGE) as archive:
        archive.extractall(root)
    return root / DATASET


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))


def predicted(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels by nnU-Net, and where it is sure of them."""
    with np.load(folder.parent / LABELS_FILE) as found:
        return found[f"{name} labels"], found[f"{name} is clear"]


def labels_of(model: LoadedModel) -> np.ndarray:
    image = phantom(7)[0]
    k, j, i = SPACING_KJI_MM
    return segment(image, Geometry(image.shape, np.diag([i, j, k, 1.0])), model, device="cpu")[0]


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_folder_gives_the_labels_of_the_predictor(folder: Path, name: str) -> None:
    model = load_model(import_model(folder / name).folder)
    assert model.card.slice_by_slice == name.endswith("2d") and [label.name for label in model.card.labels] == [
        "liver",
        "tumor",
    ]
    ours, (theirs, is_clear) = labels_of(model), predicted(folder, name)
    assert len(np.unique(theirs)) > 1
    assert (ours == theirs)[is_clear].all() and (ours == theirs).mean() >= 0.999


def test_a_trained_cascade_gives_the_labels_of_both_predictors(folder: Path) -> None:
    model = load_model(import_model(folder / CASCADE).folder)
    ours, (theirs, _) = labels_of(model), predicted(folder, CASCADE)
    # A voxel that falls the other way in the first stage is an input of the second, so none is compared alone.
    assert len(np.unique(theirs)) > 1 and (ours == theirs).mean() >= 0.999
    assert (
        model.parts[0].card.spacing_kji_mm == load_model(import_model(folder / f"{PLAIN}3d_lowres").folder).card.spacing_kji_mm
    )
