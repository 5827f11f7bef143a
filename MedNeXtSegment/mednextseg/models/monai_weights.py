"""Tensors -> a network of MONAI: by its name and arguments, as data, and by the tensors' shapes before anything of that size is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mednextseg.json_values import json_object, text
from mednextseg.models.tensor_names import check_tensors, second_names
from mednextseg.networks.forward_memory import shapes_only
from mednextseg.networks.monai_network import MonaiConfig, build_monai_network, monai_config

# Each of these counts blocks or layers, and every one of them leaves a tensor behind.
_DEPTHS = ("blocks_down", "blocks_up", "depths", "num_layers", "num_res_units", "dsdepth")
_WRONG_SIZE = (RuntimeError, ValueError, AssertionError, IndexError, TypeError)


def is_monai_architecture(architecture: Mapping[str, Any] | None) -> bool:
    """Whether a card's architecture names a network of MONAI."""
    return bool(architecture) and {"network", "arguments"} <= set(architecture)


def monai_network_from(tensors: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> nn.Module:
    """The network with these weights.

    Args:
        tensors: by name; second names of one tensor may be there.
        architecture: "network" and "arguments".
    Raises:
        ValueError: where MONAI is not installed, or arguments and tensors do not fit together.
    """
    arguments = json_object(architecture["arguments"], "the arguments of the network")
    config = monai_config(text(architecture["network"], "the name of the network"), arguments)
    blocks = sum(_whole_numbers(config.arguments.get(name)) for name in _DEPTHS)
    if blocks > len(tensors):
        raise ValueError(
            f"the description has {blocks} blocks in the {config.network}, but the weights only {len(tensors)} tensors."
        )
    with torch.device("meta"):
        network = build_monai_network(config)
    others = second_names(network)
    expected = {name: tensor for name, tensor in network.state_dict().items() if name not in others}
    for name, first in others.items():
        if name in tensors and first in tensors and not torch.equal(tensors[name], tensors[first]):
            raise ValueError(f"the weights have two versions of one tensor, {first} and {name}; take another checkpoint.")
    own = {name: tensor for name, tensor in tensors.items() if name not in others}
    check_tensors(expected, own, config.network)
    own = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    complete = own | {name: own[first] for name, first in others.items()}
    network.load_state_dict(complete, assign=True)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):  # buffers that checkpoints leave out
        network = build_monai_network(config)
        network.load_state_dict(complete)
    return network


def check_window(config: MonaiConfig, patch: Sequence[int]) -> None:
    """Try a window's shape on the network, without numbers.

    Raises:
        ValueError: where it cannot take it, or answers with another shape.
    """
    network = shapes_only(lambda: build_monai_network(config))
    try:
        with torch.no_grad():
            values = network(torch.empty(1, config.in_channels, *patch, device="meta"))
    except ImportError as error:
        raise ValueError(
            f"MONAI's {config.network} needs another package ({error}); install it with pip install einops."
        ) from error
    except _WRONG_SIZE as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise ValueError(f"the {config.network} cannot take windows of {tuple(patch)} ({reason}); check roi_size.") from error
    wanted = (1, config.num_classes, *patch)
    if not isinstance(values, Tensor) or tuple(values.shape) != wanted:
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"the {config.network} answers a window of {tuple(patch)} with {found} instead of {wanted}; check roi_size."
        )


def _whole_numbers(value: object) -> int:
    if isinstance(value, list | tuple):
        return sum(_whole_numbers(part) for part in value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
