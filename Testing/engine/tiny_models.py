"""Small real networks in model packages, and a ball to be found in a volume: for the tests of every layer."""

import shutil
from pathlib import Path

import numpy as np
import torch

from mednextseg.models.model_card import card_from_dict, read_card, write_card
from mednextseg.models.weights import write_safetensors
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig


def write_package(folder: Path, network: torch.nn.Module, labels: tuple[str, ...], **fields: object) -> Path:
    """A model package around a network; `fields` replaces or adds fields of the card."""
    folder.mkdir(parents=True)
    digest = write_safetensors(network.state_dict(), folder / "weights.safetensors")
    raw = {
        "id": folder.name,
        "version": "1.0.0",
        "title": "Test model",
        "task": "segment",
        "family": "mednext",
        "architecture": {},
        "channels": [{"name": "MR", "modality": "MR", "normalization": {"scheme": "zscore"}}],
        "labels": [
            {"value": value, "name": name, "color": [40 * value % 256, 200, 90]} for value, name in enumerate(labels, start=1)
        ],
        "weights_sha256": [digest],
        "weights_license": "CC0",
        "spacing_kji_mm": [1.0, 1.0, 1.0],
        "patch_size_kji": [16, 16, 32],
        "orientation": "RAS",
        **fields,
    }
    write_card(card_from_dict(raw), folder)
    return folder


def copy_with(package: Path, target: Path, **changes: object) -> Path:
    """The package with other fields on its card."""
    shutil.copytree(package, target)
    write_card(card_from_dict({**read_card(package).to_dict(), **changes}), target)
    return target


def tiny_mednext(in_channels: int = 1, num_classes: int = 3, seed: int = 0) -> MedNeXt:
    """A real MedNeXt with 4 base channels and one block a stage: a forward pass takes milliseconds."""
    torch.manual_seed(seed)
    config = MedNeXtConfig(in_channels, num_classes, block_counts=(1,) * 9, base_channels=4)
    network = MedNeXt(config)
    with torch.no_grad():
        network.out_0.conv_out.weight.mul_(8)  # clear winners instead of near ties
    return network.eval()


class ThresholdNetwork(torch.nn.Module):
    """Labels bright voxels: logits that depend on nothing but the voxel, so that every step around the network can be checked."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        foreground = (x[:, :1] - self.threshold) * 4
        return torch.cat([-foreground, foreground], dim=1)


def step_network(thresholds: tuple[float, ...]) -> MedNeXt:
    """A real MedNeXt with all branches switched off: a voxel's label is the number of thresholds below its intensity, and nothing else."""
    network = MedNeXt(MedNeXtConfig(1, len(thresholds) + 1, block_counts=(1,) * 9, base_channels=2))
    state = network.state_dict()
    for name, tensor in state.items():
        if "conv3" in name or "res_conv" in name or name.startswith("stem."):
            tensor.zero_()
    state["stem.weight"][0, 0] = 1
    weight, bias = state["out_0.conv_out.weight"], state["out_0.conv_out.bias"]
    weight.zero_()
    for label in range(len(thresholds) + 1):
        weight[0, label] = label
        bias[label] = -float(sum(thresholds[:label]))
    network.load_state_dict(state)
    return network.eval()


def ball(shape_kji: tuple[int, int, int], center_kji: tuple[float, ...], radii_kji: tuple[float, ...]) -> np.ndarray:
    """bool (K, J, I): an ellipsoid."""
    grid = np.ogrid[tuple(slice(n) for n in shape_kji)]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, center_kji, radii_kji, strict=True)) <= 1
