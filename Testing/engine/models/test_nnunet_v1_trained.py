"""What nnU-Net v1's own code planned, prepared and trained is imported, and gives the labels of its own prediction.

The folders come from nnunet_v1_training.py, in a package beside this file; `make bench` trains them anew (NNUNET_V1_TRAINED).
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nnunet_training import LABELS_FILE, SPACING_KJI_MM, phantom
from nnunet_v1_training import CASCADE, TRAINED

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.auto_segmenter import segment

PACKAGE = Path(os.environ.get("NNUNET_V1_TRAINED") or Path(__file__).with_name("nnunet_v1_trained.zip"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnunet_v1")
    with zipfile.ZipFile(PACKAGE) as archive:
        archive.extractall(root)
    return root / "nnUNet"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("name", (*TRAINED, CASCADE))
def test_a_trained_folder_gives_the_labels_of_its_program(results: Path, name: str) -> None:
    model = load_model(import_model(results / name).folder)
    assert [label.name for label in model.card.labels] == ["label 1", "label 2"], "version 1 keeps no names in its results"
    image, (k, j, i) = phantom(7)[0], SPACING_KJI_MM
    ours = segment(image, Geometry(image.shape, np.diag([i, j, k, 1.0])), model, device="cpu")[0]
    with np.load(results.parent / LABELS_FILE) as found:
        theirs, is_clear = found[f"{name} labels"], found[f"{name} is clear"]
    assert len(np.unique(theirs)) > 1
    assert (ours == theirs).mean() >= 0.999
    # A voxel that falls the other way in the first stage of a cascade is an input of the second, so none is compared alone.
    assert name == CASCADE or (ours == theirs)[is_clear].all()
