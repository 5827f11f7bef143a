"""What a forward pass holds at once, found by running it on shapes alone (the device "meta"): for networks that nobody has measured."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_forward_bytes(build: Callable[[], nn.Module], input_shape: Sequence[int]) -> int:
    """The largest sum of tensors alive at once in an evaluating forward pass, without weights; no numbers are computed.

    Args:
        build: makes the network.
        input_shape: (N, channels, ...) of the input, float32.
    """
    network = shapes_only(build)
    x = torch.empty(tuple(input_shape), device="meta")
    with torch.inference_mode(False), torch.no_grad(), _LiveBytes() as live:
        network(x)
    return live.peak + x.nbytes


def shapes_only(build: Callable[[], nn.Module]) -> nn.Module:
    """A network on the device "meta", for forward passes without numbers, in evaluation mode."""
    with torch.device("meta"):
        network = build().eval()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _NORMS):
                setattr(module, name, _Norm())
    return network


class _Norm(nn.Module):
    """Stands in for norms: what PyTorch does for their shapes alone loads its compiler, which takes seconds and a lot of memory."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.empty_like(x)


_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


class _LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        inputs = {part.untyped_storage()._cdata for part in tree_leaves((args, kwargs)) if isinstance(part, Tensor)}
        result = func(*args, **(kwargs or {}))
        for part in tree_leaves(result):
            if isinstance(part, Tensor):
                self._add(part.untyped_storage(), inputs)
        return result

    def _add(self, storage: torch.UntypedStorage, inputs: set[int]) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or key in inputs:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
