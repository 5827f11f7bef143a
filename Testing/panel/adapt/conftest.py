"""Cases of a scene, tiny networks, and one real worker for all tests of this folder: it imports what trains, which takes seconds."""

import os
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ball, copy_with, step_network, tiny_mednext, write_package

from mednextseg.machine import HOME_VARIABLE

SHAPE = (16, 16, 32)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models "bright", which tells balls by their brightness; "many", which cannot be adapted; "two", which has two channels."""
    folder = tmp_path_factory.mktemp("home")
    models = folder / "models"
    write_package(models / "bright", step_network((1.0,)), ("Ball",), title="Bright")
    copy_with(models / "bright", models / "many", id="many", title="Many", activation="sigmoid")
    channels = [{"name": n, "modality": "MR", "normalization": {"scheme": "zscore"}} for n in ("T1", "FLAIR")]
    write_package(models / "two", tiny_mednext(in_channels=2), ("lesion", "edema"), channels=channels, title="Two")
    return folder


@pytest.fixture(scope="session")
def worker(host, home: Path):
    """A worker that outlives the panel of one test."""
    from MedNeXtSegmentLib.Worker.WorkerClient import WorkerClient

    class LastingWorker(WorkerClient):
        def stop(self) -> None:
            """The panel's end is not this worker's."""

    client = LastingWorker(environment={**os.environ, HOME_VARIABLE: str(home), "OMP_NUM_THREADS": "1"})
    yield client
    WorkerClient.stop(client)


@pytest.fixture(autouse=True)
def this_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the panel takes for its home, for each test: other folders' tests may run in between."""
    monkeypatch.setenv(HOME_VARIABLE, str(home))


@pytest.fixture
def cases(clean_panel) -> list:
    """Three volumes of a ball each, and the ball as it was drawn."""
    import slicer

    from MedNeXtSegmentLib.Scene.Segmentations import newSegmentationFor, setSegmentMask
    from MedNeXtSegmentLib.Scene.Volumes import placementOf

    made, rng = [], np.random.default_rng(0)
    for number in range(3):
        mask = ball(SHAPE, rng.uniform((6, 6, 12), (9, 9, 18)), (4, 4, 5))
        volume = slicer.util.addVolumeFromArray(
            (100 * mask + rng.normal(0, 5, SHAPE)).astype(np.float32), name=f"Scan {number}"
        )
        node = newSegmentationFor(volume, f"drawn {number}")
        setSegmentMask(mask, placementOf(volume), node, node.GetSegmentation().AddEmptySegment("", "ball"))
        made.append((volume, node))
    return made
