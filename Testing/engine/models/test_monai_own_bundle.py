"""A bundle that MONAI's own `init_bundle` and `export_config_file` wrote, from MONAI's own template, gives MONAI's labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, init_bundle
from monai.bundle.utils import DEFAULT_INFERENCE, DEFAULT_METADATA
from monai.networks.nets import UNet
from monai_bundles import UNET, phantom, run_by_monai

from mednextseg.models.importers import import_model
from mednextseg.models.loaded_model import load_model
from mednextseg.segment.auto_segmenter import segment

# What the template leaves to a bundle's author: the network, windows for volumes, and what goes in and comes out.
FILLED_IN = {
    "bundle_root": ".",
    "network_def": UNET,
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.25},
}
FORMAT = {
    "inputs": {"image": {"modality": "CT", "num_channels": 1, "channel_def": {"0": "CT"}}},
    "outputs": {"pred": {"channel_def": {"0": "background", "1": "liver", "2": "tumor"}}},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "home"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = UNet(**{name: value for name, value in UNET.items() if name != "_target_"})
    metadata = {**DEFAULT_METADATA, "name": "Own bundle", "network_data_format": FORMAT}
    init_bundle(tmp_path / "own", network=network, metadata_str=metadata, inference_str={**DEFAULT_INFERENCE, **FILLED_IN})
    return tmp_path / "own"


def test_a_bundle_by_monai_gives_the_labels_of_monai(bundle: Path, tmp_path: Path) -> None:
    volume, geometry = phantom()
    imported = import_model(bundle)
    ours, _ = segment(volume, geometry, load_model(imported.folder), device="cpu")
    theirs, _ = run_by_monai(bundle, volume, geometry, tmp_path)
    assert imported.card.title == "Own bundle" and [label.name for label in imported.card.labels] == ["liver", "tumor"]
    assert len(np.unique(theirs)) > 1 and (ours == theirs[0]).mean() >= 0.999


def test_yaml_is_refused_with_a_cure_that_works(bundle: Path) -> None:
    pytest.importorskip("yaml", reason="MONAI writes YAML with PyYAML; pip install pyyaml.")
    config, yaml = bundle / "configs" / "inference.json", bundle / "configs" / "inference.yaml"
    ConfigParser.export_config_file(ConfigParser.load_config_file(config), yaml, fmt="yaml")
    before = import_model(bundle, model_id="before").card
    config.unlink()
    with pytest.raises(
        ValueError, match=r"with MONAI's ConfigParser\.export_config_file\(ConfigParser\.load_config_file\(yaml_file\), j"
    ):
        import_model(bundle)
    ConfigParser.export_config_file(ConfigParser.load_config_file(yaml), config)
    assert import_model(bundle, model_id="after").card.preparation == before.preparation
