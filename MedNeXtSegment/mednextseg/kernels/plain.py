"""Any network as it is, in the memory format that suits its device: the path for what no engine covers."""

import copy

import torch
from torch import Tensor, nn


class PlainRunner:
    """A copy of a module in evaluation mode, called without gradients.

    Args:
        module: any network; not modified, and later changes to it do not reach the copy.
        device: where to run.
        dtype: torch.float32, or the type that autocast computes matrix products in.
        channels_last: whether to use that memory format, where all weights have the same number of axes.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype, channels_last: bool = True) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False).to(device)
        self.device, self.dtype = device, dtype
        weights = [weight for weight in self.module.parameters() if weight.ndim >= 4]
        # Channels-last is defined for one number of axes only; a network that mixes them stays as it is.
        self.memory_format = torch.contiguous_format
        if channels_last and weights and all(weight.ndim == weights[0].ndim for weight in weights):
            self.memory_format = {4: torch.channels_last, 5: torch.channels_last_3d}.get(weights[0].ndim, self.memory_format)
            self.module.to(memory_format=self.memory_format)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor | list[Tensor]:
        """The module's outputs in float32."""
        x = x.to(self.device, torch.float32)
        if (x.ndim == 4 and self.memory_format == torch.channels_last) or (
            x.ndim == 5 and self.memory_format == torch.channels_last_3d
        ):
            x = x.contiguous(memory_format=self.memory_format)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            y = self.module(x)
        return y.float() if isinstance(y, Tensor) else [part.float() for part in y]
