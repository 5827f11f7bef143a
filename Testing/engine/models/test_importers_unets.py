"""Results of nnU-Net v2 with its own U-Nets import from every level and run; what is not ready is refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_unets import cascade_folders, results_folder, tiny_architecture, trained
from tiny_models import ball

from mednextseg.geometry import Geometry
from mednextseg.models.importers import import_model
from mednextseg.models.library import library_folder
from mednextseg.models.loaded_model import load_model
from mednextseg.models.weights import network_from_state_dict
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.windows.memory_plan import activation_bytes, weight_bytes
from mednextseg.segment.windows.sliding_window import SlidingWindow

NETWORKS = {"PlainConvUNet": "plain_conv_unet", "ResidualEncoderUNet": "residual_encoder_unet"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("legacy", [False, True])
def test_every_level_and_both_spellings_of_plans_give_the_same_model(network: str, legacy: bool, tmp_path: Path) -> None:
    entry = tiny_architecture(network)
    trainer = results_folder(tmp_path / "results", entry, legacy=legacy)
    weights = trainer / "fold_0" / "checkpoint_final.pth"
    cards = []
    for number, path in enumerate([weights, weights.parent, trainer, trainer.parent, trainer.parents[1]]):
        model = import_model(path, model_id=f"level-{number}")
        cards.append({**model.card.to_dict(), "id": ""})
    assert all(card == cards[0] for card in cards) and cards[0]["family"] == NETWORKS[network]
    loaded = load_model("level-0")
    expected = network_from_state_dict(trained(entry), entry)
    x = torch.randn(1, 1, 8, 16, 16)
    with torch.no_grad():
        assert torch.allclose(loaded.network_loaders("cpu")[0]()(x), expected(x), atol=1e-5)
    assert loaded.network_config == expected.config


@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_labels_what_the_network_says(network: str, tmp_path: Path) -> None:
    """One window of the size of the volume, whose spacing is the network's: nothing but normalization stands before the network."""
    entry = tiny_architecture(network)
    model = load_model(import_model(results_folder(tmp_path / "results", entry)).folder)
    inside = ball((8, 16, 16), (4, 8, 8), (3, 5, 5))
    noise = np.random.default_rng(0).normal(0, 10, inside.shape)
    image = np.where(inside, 120.0, 20.0) + noise
    geometry = Geometry((8, 16, 16), np.diag([-1.0, -1.0, 2.0, 1.0]))  # nnU-Net's axes as stored: LPS is no turn
    labels, _ = segment(image.astype(np.float32), geometry, model, recipe=SegmentRecipe(tta=False), device="cpu")
    normalized = (np.clip(image, -100, 200) - 20) / 50
    with torch.no_grad():
        logits = network_from_state_dict(trained(entry), entry)(torch.from_numpy(normalized[None, None]).float())
    assert len(np.unique(labels)) > 1
    assert (labels == logits[0].argmax(0).numpy()).mean() >= 0.999


def test_low_resolution_and_folds_import_beside_full_resolution(tmp_path: Path) -> None:
    entry = tiny_architecture("PlainConvUNet")
    full = import_model(results_folder(tmp_path, entry, folds=2))
    low = import_model(results_folder(tmp_path, entry, "3d_lowres", spacing=[4.0, 2.0, 2.0], next_stage="3d_cascade_fullres"))
    assert (full.card.id, low.card.id) == ("dataset011-organs-nnunettrainer", "dataset011-organs-nnunettrainer-3d-lowres")
    assert low.card.spacing_kji_mm == (4.0, 2.0, 2.0) and low.card.title == "Dataset011_Organs (nnUNetTrainer, 3d_lowres)"
    assert len(full.card.weights_sha256) == 2 and full.card.mirror_axes_kji == (0, 1, 2)
    with pytest.raises(ValueError, match="holds 2 trained models"):
        import_model(tmp_path)


def test_the_memory_plan_knows_the_networks() -> None:
    entry = tiny_architecture("ResidualEncoderUNet")
    network = network_from_state_dict(trained(entry), entry)
    assert weight_bytes(network.config) == 4 * sum(p.numel() for p in network.parameters())
    small, large = (activation_bytes(network.config, SlidingWindow(patch)) for patch in ((8, 16, 16), (8, 16, 32)))
    assert large == 2 * small > 0


PLAIN = tiny_architecture("PlainConvUNet")
SLICES = tiny_architecture("PlainConvUNet", axes=2)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_2d_configuration_labels_slice_by_slice(network: str, tmp_path: Path) -> None:
    """Slices of the patch's size and spacing, however many and however far apart: each is what the network says of it alone."""
    entry = tiny_architecture(network, axes=2)
    trainer = results_folder(tmp_path / "results", entry, "2d", folds=2, spacing=[1.0, 1.0], patch_size=[16, 20])
    model = load_model(import_model(trainer).folder)
    assert model.card.slice_by_slice and model.card.patch_size_kji == (1, 16, 20) and model.card.mirror_axes_kji == (1, 2)
    image = np.random.default_rng(0).normal(40, 60, (19, 16, 20)).astype(np.float32)
    normalized = torch.from_numpy((np.clip(image, -100, 200) - 20) / 50)[:, None].float()
    with torch.no_grad():
        folds = [network_from_state_dict(trained(entry, fold), entry)(normalized) for fold in (0, 1)]
    expected = (folds[0] + folds[1]).argmax(1).numpy()
    assert len(np.unique(expected)) > 1
    for count in (19, 1):
        geometry = Geometry((count, 16, 20), np.diag([-1.0, -1.0, 7.0, 1.0]))
        labels, report = segment(image[:count], geometry, model, recipe=SegmentRecipe(batch_size=3), device="cpu")
        assert (labels == expected[:count]).mean() >= 0.999 and report.windows.full == 2 * count and not report.warnings


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: results_folder(p, PLAIN, "2d", patch_size=[16]), "patch of the configuration 2d must have 2 or 3 sizes"),
        (lambda p: results_folder(p, SLICES, "2d", patch_size=[16, 18], spacing=[1.0, 1.0]), r"not divisible by \(1, 4, 4\)"),
        (lambda p: results_folder(p, SLICES), r"works on single slices \(2D\), so its card needs slice_by_slice = true"),
        (
            lambda p: results_folder(p, PLAIN, "3d_cascade_fullres", channels=3, previous_stage="3d_lowres"),
            r"needs the results of 3d_lowres beside it \(nnUNetTrainer__nnUNetPlans__3d_lowres\); copy both",
        ),
        (lambda p: cascade_folders(p, channels=1), "takes 1 channels but its description names 3"),
        (lambda p: results_folder(p, PLAIN, patch_size=[8, 16, 18]), r"not divisible by \(2, 4, 4\)"),
        (lambda p: results_folder(p, PLAIN, architecture={}), "describe the network None"),
        (
            lambda p: results_folder(p, PLAIN, architecture=tiny_architecture("ResidualEncoderUNet")),
            "describe the network ResidualEncoderUNet, but the weights are of a PlainConvUNet",
        ),
        (lambda p: results_folder(p, PLAIN, legacy=True, pool_op_kernel_sizes=None), "is not whole"),
        (lambda p: results_folder(p, PLAIN, legacy=True, unet_max_num_features="8"), "do not describe the network"),
    ],
)
def test_what_is_not_ready_is_refused_by_name(make: Callable[[Path], Path], reason: str, tmp_path: Path) -> None:
    trainer = make(tmp_path / "results")
    with pytest.raises(ValueError, match=reason) as refusal:
        import_model(trainer)
    assert "\n" not in str(refusal.value)
    assert not library_folder().exists() or not list(library_folder().iterdir())
