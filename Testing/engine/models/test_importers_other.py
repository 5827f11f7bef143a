"""STU-Net, MONAI bundles and bare state dicts import; the command line does it too."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_models import CARD, PUBLISHED_POOLS, TRANSFORMS, bundle, tiny_stu_net
from monai.networks.nets import MedNeXt as MonaiMedNeXt
from tiny_models import tiny_mednext

from mednextseg.cli import main
from mednextseg.models.catalogue import catalogue
from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.models.weights import write_safetensors
from mednextseg.networks.stu_net import STUNet


def published_stu_net(folder: Path) -> tuple[Path, STUNet]:
    """A file pair laid out as STU-Net's authors publish theirs (plans as in their pickles), around a small network."""
    network = tiny_stu_net(105)
    plans = {
        "num_modalities": 1,
        "modalities": {0: "CT"},
        "num_classes": 104,
        "all_classes": list(range(1, 105)),
        "normalization_schemes": {0: "nonCT"},
        "use_mask_for_norm": {0: False},
        "preprocessor_name": "GenericPreprocessor",
        "transpose_forward": [0, 1, 2],
        "dataset_properties": {"intensityproperties": {0: {"mean": np.float32(1)}}},
        "plans_per_stage": {
            0: {
                "patch_size": np.array([128, 128, 128]),
                "current_spacing": np.array([1.5, 1.5, 1.5]),
                "pool_op_kernel_sizes": [list(pool) for pool in PUBLISHED_POOLS],
            }
        },
    }
    weights = folder / "small_ep4k.model"
    torch.save({"epoch": 4000, "state_dict": network.state_dict(), "plot_stuff": ([np.float64(0.5)],)}, weights)
    info = {"init": ("plans", "all", "out", "data", True, 0, True, False, True), "name": "STUNetTrainer_small", "plans": plans}
    weights.with_name("small_ep4k.model.pkl").write_bytes(pickle.dumps(info, 2))
    return weights, network


def test_a_published_stu_net_keeps_pooling_plans_and_structures(tmp_path: Path) -> None:
    weights, network = published_stu_net(tmp_path)
    card = import_model(weights).card
    assert card.family == "stu_net" and card.id == "small-ep4k-stunettrainer-small"
    assert card.channels[0].normalization.scheme == "zscore"  # the data is CT, the published plans standardize each image
    names = {label.value: label.name for label in card.labels}
    assert (names[1], names[40], names[104]) == ("adrenal_gland_left", "liver", "vertebrae_T9")
    x = torch.randn(1, 1, 32, 16, 64)
    with torch.no_grad():
        assert torch.allclose(load_model(card.id).network_loaders("cpu")[0]()(x), network(x), atol=1e-5)


def test_a_stu_net_of_the_v2_layout_imports(tmp_path: Path) -> None:
    configuration = {
        "spacing": [1.5, 1.5, 1.5],
        "patch_size": [32, 32, 32],
        "preprocessor_name": "DefaultPreprocessor",
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "pool_op_kernel_sizes": [[1, 1, 1], *([list(pool) for pool in PUBLISHED_POOLS])],
    }
    intensities = {"0": {"mean": 10.0, "std": 20.0, "percentile_00_5": -100.0, "percentile_99_5": 300.0}}
    plans = {
        "dataset_name": "Dataset700_Organs",
        "transpose_forward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "foreground_intensity_properties_per_channel": intensities,
    }
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "aorta": 2}}
    init = {"plans": plans, "configuration": "3d_fullres", "fold": 0, "dataset_json": dataset}
    content = {"network_weights": tiny_stu_net(3).state_dict(), "init_args": init, "trainer_name": "STUNetTrainer_small"}
    torch.save(content, tmp_path / "checkpoint_final.pth")
    card = import_model(tmp_path).card
    assert card.family == "stu_net" and tuple(tuple(p) for p in card.architecture["pool_sizes_kji"]) == PUBLISHED_POOLS
    assert card.mirror_axes_kji == () and card.channels[0].normalization.upper == 300.0


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_with_a_card_of_ones_own_imports(suffix: str, tmp_path: Path) -> None:
    network = tiny_mednext()
    weights, card_file = tmp_path / f"weights{suffix}", tmp_path / "my card.json"
    if suffix == ".pth":
        torch.save({"model_state_dict": network.state_dict(), "note": "epoch 5"}, weights)
    else:
        write_safetensors(network.state_dict(), weights)
    card_file.write_text(json.dumps(CARD))
    with pytest.raises(ValueError, match=r"save it beside them as weights\.json"):
        import_model(weights)
    card = import_model(weights, card_file=card_file).card
    assert (card.id, card.version, card.family) == ("mine", "2.0.0", "mednext")
    x = torch.randn(1, 1, 16, 16, 32)
    with torch.no_grad():
        assert torch.allclose(load_model("mine").network_loaders("cpu")[0]()(x), network(x), atol=1e-4)


def test_a_monai_network_imports_with_a_card(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = {"blocks_down": (1,) * 4, "blocks_bottleneck": 1, "blocks_up": (1,) * 4}
    monai = MonaiMedNeXt(spatial_dims=3, init_filters=4, in_channels=1, out_channels=3, kernel_size=3, **shape).eval()
    torch.save(monai.state_dict(), tmp_path / "monai.pt")
    (tmp_path / "card.json.txt").write_text(json.dumps(CARD))
    import_model(tmp_path / "monai.pt", card_file=tmp_path / "card.json.txt")
    x = torch.randn(1, 1, 16, 16, 32)
    with torch.no_grad():
        assert torch.allclose(load_model("mine").network_loaders("cpu")[0]()(x), monai(x), atol=1e-4)


def test_what_a_state_dict_cannot_tell_must_be_on_the_card(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    torch.save(tiny_stu_net(3).state_dict(), tmp_path / "stu.pth")
    with pytest.raises(ValueError, match="pool_sizes_kji"):
        import_model(tmp_path / "stu.pth", card_file=tmp_path / "card.json")
    torch.save({"weights": [1, 2, 3]}, tmp_path / "list.pth")
    with pytest.raises(ValueError, match="not a state dict"):
        import_model(tmp_path / "list.pth", card_file=tmp_path / "card.json")
    torch.save({"conv.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no known family"):
        import_model(tmp_path / "other.pth", card_file=tmp_path / "card.json")
    (tmp_path / "card.json").write_text(json.dumps({**CARD, "labels": CARD["labels"][:1]}))
    torch.save(tiny_mednext().state_dict(), tmp_path / "net.pth")
    with pytest.raises(ValueError, match="3 outputs but its description 1 labels"):
        import_model(tmp_path / "net.pth", card_file=tmp_path / "card.json")


def test_a_bundle_of_mednext_needs_no_monai_and_keeps_its_steps(tmp_path: Path) -> None:
    card = import_model(bundle(tmp_path / "bundle", TRANSFORMS)).card
    assert card.family == "mednext" and card.orientation == "SAR" and card.patch_size_kji == (16, 32, 48)
    assert [step.step for step in card.preparation] == ["resample", "standardize"] and card.spacing_kji_mm == (1.5, 1.25, 2.0)
    assert [label.name for label in card.labels] == ["left atrium", "tumor"] and card.weights_license == "CC-BY-4.0"


def test_the_command_line_imports_exports_and_removes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    weights, card_file = tmp_path / "w.pth", tmp_path / "c.json"
    torch.save(tiny_mednext().state_dict(), weights)
    card_file.write_text(json.dumps(CARD))
    assert main(["models", "import", str(weights), "--card", str(card_file), "--id", "by-hand", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "by-hand"
    assert main(["models", "export", "by-hand", "-o", str(tmp_path), "--json"]) == 0
    archive = json.loads(capsys.readouterr().out)
    assert main(["models", "remove", "by-hand"]) == 0
    assert main(["models", "import", archive["file"], "--sha256", archive["sha256"]]) == 0
    assert "2 label(s)" in capsys.readouterr().out and load_model("by-hand").card.version == "2.0.0"
    assert main(["models", "import", archive["file"]]) == 1
    assert "installed already" in capsys.readouterr().err
    assert main(["models", "catalogue"]) == 0
    assert "unverified" in capsys.readouterr().out


def test_the_catalogue_invents_nothing() -> None:
    entries = catalogue()
    assert {entry.family for entry in entries} == {"mednext", "stu_net", "nnunet", "monai", "sam_med2d"}
    assert len({entry.id for entry in entries}) == len({entry.title for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.source_page.startswith("https://") and entry.to_dict()["verified"] is (entry.sha256 is not None)
