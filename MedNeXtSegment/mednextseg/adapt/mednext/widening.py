"""A narrow MedNeXt's weights as the start of a wider one, which computes the same before its first step (Net2Net, arXiv 1511.05641)."""

import torch
from torch import Tensor, nn

_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
_LEAST_SHARE = 0.2  # of what a channel gave, that each of its copies gives


def widened(tensors: dict[str, Tensor], network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Weights for a MedNeXt from those of one with fewer channels or smaller expansion ratios.

    Channel c of the wide network is a copy of channel c modulo the narrow one's. What a copied channel gives to the next layer is split
    among its copies in unequal random shares: the sum stays, and the copies learn different things.

    Args:
        tensors: by name; returned as they are where they already fit.
        network: the wide one; without global response norm, whose mean over the channels copies would shift.
        seed: of the shares.
    Returns:
        By name; tensors that cannot be widened (more blocks, another kernel, a narrower network) as they came.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = {f"{name}.weight": _input_axis(module) for name, module in network.named_modules()}
    wanted = network.state_dict()
    return {
        name: _widened(tensor, wanted[name].shape, inputs.get(name), generator) if name in wanted else tensor
        for name, tensor in tensors.items()
    }


def _input_axis(module: nn.Module) -> int | None:
    """The axis of a weight along which contributions are summed; None where there is none, as in depthwise convolutions."""
    if not isinstance(module, _CONVOLUTIONS) or module.groups > 1:
        return None
    return 0 if isinstance(module, _TRANSPOSED) else 1


def _widened(tensor: Tensor, shape: torch.Size, input_axis: int | None, generator: torch.Generator) -> Tensor:
    channels, wanted = tensor.shape[:2], shape[:2]
    if tensor.ndim != len(shape) or tensor.shape[2:] != shape[2:] or any(n > w for n, w in zip(channels, wanted, strict=True)):
        return tensor
    for axis, (count, wide) in enumerate(zip(channels, wanted, strict=True)):
        if count == wide:
            continue
        source = torch.arange(wide) % count
        tensor = tensor.index_select(axis, source)
        if axis == input_axis:
            tensor = tensor * _shares(tensor.shape, axis, source, count, generator).to(tensor)
    return tensor


def _shares(shape: torch.Size, axis: int, source: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Positive factors of a weight of this shape, that add up to 1 over the copies of each channel."""
    weights = _LEAST_SHARE + (1 - 2 * _LEAST_SHARE) * torch.rand(shape, generator=generator)
    narrow = list(shape)
    narrow[axis] = count
    sums = torch.zeros(narrow).index_add_(axis, source, weights)
    return weights / sums.index_select(axis, source)
