"""Tensor names of MONAI's MedNeXt (monai.networks.nets.MedNeXt) <-> the official ones.

MONAI counts decoder stages and coarse heads from the bottom up, the official code from the top down; inside a block the names agree.
"""

import re

from torch import Tensor

_RULES = [
    (re.compile(r"^enc_stages\.(\d)\."), lambda i: f"enc_block_{i}."),
    (re.compile(r"^down_blocks\.(\d)\."), lambda i: f"down_{i}."),
    (re.compile(r"^up_blocks\.(\d)\."), lambda i: f"up_{3 - i}."),
    (re.compile(r"^dec_stages\.(\d)\."), lambda i: f"dec_block_{3 - i}."),
    (re.compile(r"^out_blocks\.(\d)\."), lambda i: f"out_{4 - i}."),
]


def is_monai_mednext(state_dict: dict[str, Tensor]) -> bool:
    """Whether the names are those of MONAI's MedNeXt."""
    return "stem.weight" in state_dict and any(name.startswith("enc_stages.") for name in state_dict)


def official_names(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """A MONAI MedNeXt state dict under the official names; the tensors are shared, not copied."""
    return {_official_name(name): tensor for name, tensor in state_dict.items()}


def _official_name(name: str) -> str:
    for pattern, replacement in _RULES:
        match = pattern.match(name)
        if match:
            name = replacement(int(match.group(1))) + name[match.end() :]
            break
    return name.replace("global_resp_", "grn_")
