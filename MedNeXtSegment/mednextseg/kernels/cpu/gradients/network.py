"""A whole MedNeXt for training on the processor: its forward pass, from the functions of blocks.py."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mednextseg.kernels.cpu.gradients.blocks import block, down_block, pointwise, up_block
from mednextseg.networks.mednext import LEVELS, MedNeXt, check_input


class TrainableMedNeXt:
    """Calls like the module and gives the same gradients to the module's parameters, which are read at every call.

    Args:
        module: a MedNeXt that kernels/cpu/engine.py supports.
    """

    def __init__(self, module: MedNeXt) -> None:
        self.module = module

    def __call__(self, x: Tensor) -> Tensor | list[Tensor]:
        """module(x), (N, in_channels, K, J, I) -> logits or the list of them.

        Raises:
            ValueError: for a shape that the module does not take.
        """
        check_input(x, self.module.config)
        with torch.autocast("cpu", enabled=False):
            samples = [self._run(sample) for sample in x.split(1)]
        heads = [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*samples, strict=True)]
        return heads if self.module.deep_supervision else heads[0]

    def _run(self, x: Tensor) -> list[Tensor]:
        """One sample; logits of every head in use."""
        module, skips = self.module, []
        taps = module.plug_ins.begin(x)
        x = pointwise(x, module.stem.weight.flatten(1), module.stem.bias)
        for level in range(LEVELS):
            skips.append(taps.after(f"enc_block_{level}", self._stage(f"enc_block_{level}", x)))
            x = self._block(down_block, getattr(module, f"down_{level}"), skips[level])
        x = taps.after("bottleneck", self._stage("bottleneck", x))
        coarse, skips = [x], taps.skips(skips)
        for level in reversed(range(LEVELS)):
            x = self._block(up_block, getattr(module, f"up_{level}"), x, skips[level])
            x = taps.after(f"dec_block_{level}", self._stage(f"dec_block_{level}", x))
            coarse.append(x)
        return [self._head(level, coarse[LEVELS - level]) for level in range(LEVELS + 1 if module.deep_supervision else 1)]

    def _stage(self, name: str, x: Tensor) -> Tensor:
        for part in getattr(self.module, name):
            x = self._block(block, part, x)
        return x

    def _block(self, function: Callable[..., Tensor], part: nn.Module, *inputs: Tensor) -> Tensor:
        """A function of blocks.py; where the module says so, what it keeps is computed again on the way back."""
        if self.module.gradient_checkpointing and self.module.training:
            return checkpoint(function, part, *inputs, use_reentrant=False)
        return function(part, *inputs)

    def _head(self, level: int, x: Tensor) -> Tensor:
        conv = getattr(self.module, f"out_{level}").conv_out
        return pointwise(x, conv.weight.flatten(1).t(), conv.bias)
