"""Multiply-adds of a forward pass, counted on shapes alone."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mednextseg.networks.forward_memory import shapes_only

_ELEMENTWISE = ("empty_like", "add", "iadd", "sub", "mul", "div", "gelu", "relu", "leaky_relu", "sigmoid", "silu", "prelu")
_CONVOLUTIONS = ("conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d")
_PRODUCTS = ("linear", "matmul", "bmm")


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


class _Count(TorchFunctionMode):
    """Adds up operations as they are called.

    Shapes of common operations are worked out here: what PyTorch has for shapes alone takes seconds to load.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        name = getattr(func, "__name__", "").strip("_")
        shape = None if kwargs else _shape_of(name, args)
        result = func(*args, **(kwargs or {})) if shape is None else torch.empty(shape, device="meta")
        if name in _CONVOLUTIONS:
            # Each value of the output, or of the input where it is spread out, meets one kernel over the channels of its group.
            values = args[0] if "transpose" in name else result
            self.total += values.numel() * prod(args[1].shape[1:])
        elif name in _PRODUCTS:
            self.total += result.numel() * args[0].shape[-1]
        return result


def _shape_of(name: str, args: tuple) -> tuple[int, ...] | None:
    """Of the result; None where PyTorch has to tell."""
    if name in _ELEMENTWISE:
        return np.broadcast_shapes(*(part.shape for part in args if isinstance(part, Tensor)))
    if name in ("conv2d", "conv3d") and len(args) == 7 and not isinstance(args[4], str):
        x, weight, _bias, *numbers, _groups = args
        axes = zip(x.shape[2:], weight.shape[2:], *numbers, strict=True)
        return x.shape[0], weight.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
    if name in ("conv_transpose2d", "conv_transpose3d") and len(args) == 8:
        x, weight, _bias, stride, padding, more, groups, dilation = args
        axes = zip(x.shape[2:], weight.shape[2:], stride, padding, more, dilation, strict=True)
        sizes = ((n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, o, d in axes)
        return x.shape[0], weight.shape[1] * groups, *sizes
    if name == "pad" and len(args) == 2:
        shape, widths = list(args[0].shape), args[1]
        for axis in range(len(widths) // 2):
            shape[-1 - axis] += widths[2 * axis] + widths[2 * axis + 1]
        return tuple(shape)
    return None
