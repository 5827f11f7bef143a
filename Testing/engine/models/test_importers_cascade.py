"""Cascades of nnU-Net v2: both stages become one package, which runs them one after the other and travels like any other."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_unets import cascade_folders, tiny_architecture, trained

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.install.installation import export_model, install, remove_model
from mednextseg.models.library import installed_models, verify_model
from mednextseg.models.loaded_model import LoadedModel, load_model
from mednextseg.models.weights import network_from_state_dict
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.progress import Progress
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.run_plan import plan_run

SHAPE_KJI = (8, 16, 16)
GEOMETRY = Geometry(SHAPE_KJI, np.diag([-1.0, -1.0, 2.0, 1.0]))
IMAGE = np.random.default_rng(3).normal(40, 60, SHAPE_KJI).astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages work on the grid of IMAGE, so that nothing but normalization stands before them."""
    return cascade_folders(tmp_path_factory.mktemp("results"), low={"spacing": [2.0, 1.0, 1.0]})


@pytest.fixture
def model(results: Path, home: Path) -> LoadedModel:
    return load_model(import_model(results).folder)


def expected_labels() -> np.ndarray:
    entry = tiny_architecture("PlainConvUNet")
    x = torch.from_numpy((np.clip(IMAGE, -100, 200) - 20) / 50)[None, None].float()
    with torch.no_grad():
        before = network_from_state_dict(trained(entry), entry)(x).argmax(1)
        channels = torch.cat([x, *((before == value).float()[None] for value in (1, 2))], dim=1)
        after = network_from_state_dict(trained(entry, channels=3), entry)(channels).argmax(1)
    assert len(before.unique()) > 1 and not torch.equal(before, after)
    return after[0].numpy()


def test_the_second_stage_sees_the_labels_of_the_first(model: LoadedModel) -> None:
    told: list[Progress] = []
    labels, report = segment(IMAGE, GEOMETRY, model, device="cpu", progress=told.append)
    assert (labels == expected_labels()).mean() >= 0.999
    assert report.windows.full == 2 and report.model_id == "dataset011-organs-nnunettrainer-3d-cascade-fullres"
    fractions = [p.fraction for p in told]
    assert fractions == sorted(fractions) and fractions[-1] > 0.9
    assert set(report.seconds_by_phase) >= {"prepare", "network", "labels"} and set(report.volumes_ml) == {"liver", "spleen"}


def test_a_region_and_some_labels_of_a_cascade(model: LoadedModel) -> None:
    region = RegionOfInterest((-12.5, -3.5, -12.5, -3.5, 1.0, 15.0))
    labels, _ = segment(IMAGE, GEOMETRY, model, roi=region, labels=["spleen"], device="cpu")
    whole = np.where(region.mask(GEOMETRY) & (expected_labels() == 2), 2, 0)
    assert (labels == whole).mean() >= 0.999
    plan = plan_run(GEOMETRY, model, None, SegmentRecipe(), "cpu")
    assert plan.forward_passes == 2 and plan.memory_bytes > 0


def test_every_level_gives_the_cascade_and_a_stage_alone_is_refused(results: Path, home: Path, tmp_path: Path) -> None:
    trainer = results / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    archive = shutil.make_archive(str(tmp_path / "both"), "zip", results.parent, results.name)
    cards = []
    for number, path in enumerate([results.parent, trainer, trainer / "fold_0", archive]):
        imported = import_model(path, model_id=f"level-{number}")
        cards.append({**imported.card.to_dict(), "id": ""})
        assert verify_model(imported.folder) == []
    assert all(card == cards[0] for card in cards) and cards[0]["combination"] == "cascade"
    low = import_model(trainer.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres"))
    assert not low.card.parts
    stage = load_model(load_model("level-0").folder / "part-2")
    with pytest.raises(ValueError, match="is one stage of a cascade"):
        segment(IMAGE, GEOMETRY, stage, device="cpu")


def test_a_package_of_parts_is_exported_verified_installed_and_removed(model: LoadedModel, tmp_path: Path) -> None:
    name, archive = model.card.id, export_model(model.folder, tmp_path)
    remove_model(name)
    folder = install(archive, accept_license=True)
    assert list(installed_models()).count(name) == 1 and verify_model(folder) == []
    weights = folder / "part-1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert verify_model(folder) == ["part-1/weights.safetensors is truncated or altered (its SHA-256 is not the card's)"]
    (folder / "part-2" / "card.json").unlink()
    assert "part-2/card.json is missing" in verify_model(folder)
    with pytest.raises(ValueError, match="is damaged"):
        load_model(name)
