"""What a forward pass holds at once, found by running it on shapes alone (the device "meta"): for networks that nobody has measured."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


def peak_forward_bytes(build: Callable[[], nn.Module], input_shape: Sequence[int]) -> int:
    """The largest sum of tensors alive at once in an evaluating forward pass, without weights; no numbers are computed.

    Args:
        build: makes the network.
        input_shape: (N, channels, ...) of the input, float32.
    """
    network = shapes_only(build)
    x = torch.empty(tuple(input_shape), device="meta")
    with torch.inference_mode(False), torch.no_grad(), LiveBytes() as live:
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


class LiveBytes(TorchDispatchMode):
    """Adds up the storages that operations make, until they are let go; `peak` is the largest sum so far, in bytes."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: to be skipped by PyTorch's compiler, the compiler is loaded, which takes seconds."""
        return False

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        for part in _tensors((result,)):
            storage = part.untyped_storage()
            if storage._cdata not in self._known and not any(
                storage._cdata == given.untyped_storage()._cdata for given in _tensors((*args, *kwargs.values()))
            ):
                self._add(storage)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()

        def forget(_reference: object) -> None:
            self.now -= size
            del self._known[key]

        self._known[key] = weakref.ref(storage, forget)
        self.now += size
        self.peak = max(self.peak, self.now)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Those among the values, and in the lists among them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
