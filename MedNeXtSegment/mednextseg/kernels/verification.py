"""How far a runner is from the plain network on the processor, on a small random patch: measured before the runner is used."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Runner = Callable[[Tensor], Tensor | list[Tensor]]


@torch.no_grad()
def relative_error(run: Runner, module: nn.Module, grid: tuple[int, ...]) -> float:
    """Root mean square difference of the (full-size) logits, relative to those of the module.

    Args:
        run: what is in question; takes an input from any device.
        module: a network; not modified, runs where it is.
        grid: of the patch, large enough for the norm of the deepest level to see two voxels.
    """
    first = next(part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Conv3d))
    x = torch.randn(1, first.in_channels, *grid, generator=torch.Generator().manual_seed(0))
    expected = _full_size(module(x.to(first.weight.device)))
    difference = _full_size(run(x)) - expected
    return float(difference.square().mean().sqrt() / expected.square().mean().sqrt())


def _full_size(outputs: Tensor | list[Tensor]) -> Tensor:
    return (outputs if isinstance(outputs, Tensor) else outputs[0]).cpu().double()
