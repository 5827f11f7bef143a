"""The weights of a block as the Triton kernels read them: transposed, on the device, padded with zeros to whole tiles."""

import torch
from torch import Tensor

from mednextseg.networks.mednext import MedNeXtBlock

# Products of float32 on the matrix units: three products of tf32 parts, as exact as float32 up to the last bits. The default, one
# product of tf32, would keep only ten bits. Ignored for the other types.
PRECISION = "tf32x3"
_SMALLEST_SIDE = 16  # of a matrix product on the matrix units
_HIDDEN_MULTIPLE = 32


class BlockWeights:
    """The matrix products of a block.

    Attributes:
        expand: (C', H'). expand_bias: (H',) float32. project: (H', C_out'). project_bias: (C_out',) float32, with the bias of the
            shortcut and the offset of the global response norm inside. shortcut: (C', C_out') or None.
            Sizes with ' are padded: C' and C_out' to powers of two from 16, H' to a multiple of 32.
        gamma: (H',) float32, weight of the global response norm; None without it.
    """

    def __init__(self, block: MedNeXtBlock, device: torch.device, dtype: torch.dtype) -> None:
        expand = block.conv2.weight.detach().flatten(1).t()  # (C, hidden)
        project = block.conv3.weight.detach().flatten(1).t()  # (hidden, C_out)
        channels, out = padded_size(expand.shape[0]), padded_size(project.shape[1])
        self.hidden = expand.shape[1]
        padded_hidden = -(-self.hidden // _HIDDEN_MULTIPLE) * _HIDDEN_MULTIPLE
        bias = block.conv3.bias.detach().double()
        self.gamma = None
        if block.grn is not None:
            self.gamma = padded(block.grn_gamma.detach().flatten(), (padded_hidden,), device, torch.float32)
            bias = bias + block.grn_beta.detach().flatten().double() @ project.double()
        self.shortcut = None
        if getattr(block, "res_conv", None) is not None:
            shortcut = block.res_conv.weight.detach().flatten(1)
            # A plain convolution's weight is (C_out, C), a transposed one's (C, C_out).
            shortcut = shortcut if isinstance(block.res_conv, torch.nn.ConvTranspose3d) else shortcut.t()
            self.shortcut = padded(shortcut, (channels, out), device, dtype)
            bias = bias + block.res_conv.bias.detach().double()
        self.expand = padded(expand, (channels, padded_hidden), device, dtype)
        self.expand_bias = padded(block.conv2.bias.detach(), (padded_hidden,), device, torch.float32)
        self.project = padded(project, (padded_hidden, out), device, dtype)
        self.project_bias = padded(bias, (out,), device, torch.float32)


def padded(values: Tensor, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """A contiguous copy with zeros behind the end of every axis."""
    room = torch.zeros(shape, device=device, dtype=dtype)
    room[tuple(slice(n) for n in values.shape)] = values.to(device, dtype)
    return room


def padded_size(size: int) -> int:
    """The next power of two, and no less than a matrix product on the matrix units needs."""
    return max(_SMALLEST_SIDE, 1 << (size - 1).bit_length())
