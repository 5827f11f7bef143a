"""Small models as others publish them, STU-Net and a MONAI bundle, and a card for weights without one."""

import json
from pathlib import Path

import torch
from tiny_models import tiny_mednext

from mednextseg.networks.stu_net import STUNet, STUNetConfig

PUBLISHED_POOLS = ((2, 2, 2),) * 4 + ((1, 1, 2),)
CARD = {
    "id": "mine",
    "version": "2.0.0",
    "title": "Mine",
    "task": "segment",
    "channels": [{"name": "CT", "modality": "CT", "normalization": {"scheme": "ct", "lower": -100, "upper": 200, "std": 80}}],
    "labels": [{"value": 1, "name": "liver", "color": [200, 90, 80]}, {"value": 2, "name": "spleen", "color": [90, 90, 200]}],
    "weights_license": "CC0",
    "spacing_kji_mm": [1.5, 1.5, 1.5],
    "patch_size_kji": [16, 16, 32],
    "orientation": "RAS",
}
TRANSFORMS = [
    {"_target_": "LoadImaged", "keys": "@image_key"},
    {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
    {"_target_": "monai.transforms.Orientationd", "keys": "@image_key", "axcodes": "RAS"},
    {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.5, 1.25, 2.0], "mode": "bilinear"},
    {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True, "channel_wise": True},
]


def tiny_stu_net(num_classes: int) -> STUNet:
    torch.manual_seed(0)
    return STUNet(STUNetConfig(1, num_classes, widths=(2, 2, 3, 3, 4, 4), pool_sizes_kji=PUBLISHED_POOLS)).eval()


def bundle(folder: Path, transforms: list[dict], sigmoid: bool = False) -> Path:
    """A MONAI bundle in the layout of the model zoo."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    names = {"0": "background", "1": "left atrium", "2": "tumor"}
    image = {"type": "image", "modality": "MR", "num_channels": 1, "channel_def": {"0": "image"}}
    data_format = {"inputs": {"image": image}, "outputs": {"pred": {"channel_def": names}}}
    metadata = {"name": "Left atrium", "version": "0.3.1", "network_data_format": data_format, "license": "CC-BY-4.0"}
    inference = {
        "preprocessing": {"_target_": "Compose", "transforms": transforms},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 32, 48], "overlap": 0.5},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "Activationsd", "softmax": not sigmoid}]},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    torch.save(tiny_mednext().state_dict(), folder / "models" / "model.pt")
    return folder
