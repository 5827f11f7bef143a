"""A small cascade of nnU-Net v1: both stages with random weights, in a results folder as that program writes it."""

from pathlib import Path

import numpy as np
import torch
from nnunet_folders import cascade_v1_folders

from mednextseg.networks.generic_unet import GenericUNet, GenericUNetConfig

POOLS, KERNELS, WIDTHS = ((1, 2, 2), (2, 2, 2)), ((1, 3, 3), (3, 3, 3), (3, 3, 3)), (4, 8, 16)
# On the tests' phantom the second grid has no voxel that lies exactly half-way between two, where rounding would decide about labels.
SPACINGS_KJI_MM = {0: (6.0, 2.0, 1.5), 1: (2.5, 1.875, 1.35)}
PATCH_KJI = (4, 16, 16)


def _network(channels: int, seed: int) -> GenericUNet:
    torch.manual_seed(seed)
    config = GenericUNetConfig(
        channels, 3, WIDTHS, KERNELS, ((1, 1, 1), *POOLS), (2,) * 3, (2,) * 2, decoder_kernel_sizes=tuple(reversed(KERNELS[1:]))
    )
    made = GenericUNet(config).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if ".instnorm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
        made.seg_outputs[-1].weight.mul_(8)
    return made


NETWORKS = {0: _network(1, 0), 1: _network(3, 1)}


def small_cascade(root: Path) -> Path:
    """Writes the folder and returns it: the one above 3d_lowres and 3d_cascade_fullres."""
    stages = {
        stage: {"patch_size": np.array(PATCH_KJI), "current_spacing": np.array(mm), "pool_op_kernel_sizes": POOLS}
        for stage, mm in SPACINGS_KJI_MM.items()
    }
    return cascade_v1_folders(root, stages, NETWORKS)
