"""Tensor names in checkpoints of nnU-Net v2's U-Nets (dynamic-network-architectures 0.4).

Its modules know their parts under two names, so every tensor of a convolution stands in a checkpoint twice, those of the encoder four
times: `encoder.X` and `decoder.encoder.X`, each with `conv` or `norm` also under its place in `all_modules`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

FIRST_CONVOLUTIONS = {
    "PlainConvUNet": "encoder.stages.0.0.convs.0.conv.weight",
    "ResidualEncoderUNet": "encoder.stem.convs.0.conv.weight",
}
_IN_ALL_MODULES = re.compile(r"\.all_modules\.(\d+)\.")


def unet_class_name(tensors: Mapping[str, Tensor]) -> str | None:
    """Which of the two networks the names belong to: "PlainConvUNet", "ResidualEncoderUNet", or None for neither."""
    if not any(name.startswith("decoder.transpconvs.") for name in tensors):
        return None
    return next((network for network, first in FIRST_CONVOLUTIONS.items() if first in tensors), None)


def without_aliases(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor once, under its shortest name; tensors are shared, not copied.

    Raises:
        ValueError: where two names of one tensor have different values, so that the file was changed by hand or is damaged.
    """
    single: dict[str, Tensor] = {name: tensor for name, tensor in tensors.items() if _single_name(name) == name}
    for name, tensor in tensors.items():
        kept = single.setdefault(_single_name(name), tensor)
        if kept.shape != tensor.shape or not torch.equal(kept, tensor):
            raise ValueError(
                f"the weights contradict themselves: {name} and {_single_name(name)} are one tensor with different values; "
                "take another checkpoint."
            )
    return single


def _single_name(name: str) -> str:
    name = name.removeprefix("decoder.") if name.startswith("decoder.encoder.") else name
    # Dropout, where there is one, stands between the convolution and its norm and has no tensors.
    return _IN_ALL_MODULES.sub(lambda place: ".conv." if place[1] == "0" else ".norm.", name)
