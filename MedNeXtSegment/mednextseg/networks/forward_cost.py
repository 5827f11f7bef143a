"""Multiply-adds of a forward pass, counted by running it on shapes alone (the device "meta")."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mednextseg.networks.forward_memory import shapes_only

_ATEN = torch.ops.aten


def multiply_adds(build: Callable[[], nn.Module], input_shape: Sequence[int]) -> int:
    """Those of convolutions and matrix products in an evaluating forward pass; everything else is small beside them.

    Args:
        build: makes the network.
        input_shape: (N, channels, ...) of the input.
    """
    network = shapes_only(build)
    x = torch.empty(tuple(input_shape), device="meta")
    with torch.inference_mode(False), torch.no_grad(), _Count() as count:
        network(x)
    return count.total


class _Count(TorchDispatchMode):
    """Adds up operations as they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is _ATEN.convolution.default:
            x, weight, is_transposed = args[0], args[1], args[6]
            # Each value of the output, or of the input where it is spread out, meets one kernel over the channels of its group.
            self.total += (x if is_transposed else result).numel() * prod(weight.shape[1:])
        elif func in (_ATEN.mm.default, _ATEN.bmm.default):
            self.total += result.numel() * args[0].shape[-1]
        elif func is _ATEN.addmm.default:
            self.total += result.numel() * args[1].shape[-1]
        return result
