"""Depthwise convolutions on channels-last activations, and the transposed one as eight plain ones.

A transposed convolution of stride 2, kernel k and padding p = k // 2 gives output voxel o from input voxel i through tap
t = o + p - 2 i. For even o only the taps of one parity are hit, for odd o those of the other; so along every axis the outputs
of one parity are a plain convolution of the input with every second tap, in reverse order. Three axes make eight phases. oneDNN
has no fast kernel for the transposed form of a depthwise convolution; for the plain form it has.
"""

from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.kernels.cpu.rows import Rows

Parity = tuple[int, int, int]


class Depthwise:
    """A depthwise convolution of stride 1 or 2, weights copied from an nn.Conv3d."""

    def __init__(self, conv: nn.Conv3d, dtype: torch.dtype) -> None:
        self.weight = channels_last(conv.weight, dtype)
        self.bias = conv.bias.detach().to(dtype, copy=True)
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups

    def __call__(self, rows: Rows) -> Rows:
        y = F.conv3d(rows.volume, self.weight, self.bias, stride=self.stride, padding=self.padding, groups=self.groups)
        return Rows.from_volume(y)


@dataclass(frozen=True)
class Phase:
    """The outputs (2 m + parity) of a transposed convolution: a plain one over the input.

    Attributes:
        parity_kji: 0 for the even and 1 for the odd outputs of each axis.
        weight: (C, 1, taps_k, taps_j, taps_i), channels_last_3d.
        padding_kji: zeros on both sides of each axis.
    """

    parity_kji: Parity
    weight: Tensor
    padding_kji: Parity

    def convolve(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """(N, C, n_k, n_j, n_i) -> the phase: along an axis n even outputs or n - 1 odd ones."""
        if self.weight[0, 0, 0].numel() == 1:  # neither PyTorch nor oneDNN has a fast kernel of one tap in the plane
            return self._convolve_planes(x, bias)
        return F.conv3d(x, self.weight, bias, padding=self.padding_kji, groups=self.weight.shape[0])

    def _convolve_planes(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """A kernel that reaches along k only: whole planes, scaled by channel."""
        taps, before = self.weight.shape[2], self.padding_kji[0]
        x = F.pad(x, (0, 0, 0, 0, before, before)) if before else x
        planes, weight = x.shape[2] - taps + 1, self.weight.view(-1, taps, 1, 1, 1)
        y = x[:, :, :planes] * weight[:, 0]
        for tap in range(1, taps):
            y.addcmul_(x[:, :, tap : tap + planes], weight[:, tap])
        return y if bias is None else y.add_(bias.view(-1, 1, 1, 1))

    def convolve_back(self, gradient: Tensor) -> Tensor:
        """Gradient of the phase (N, C, ...) -> its share of the gradient of x."""
        mirrored = channels_last(self.weight.flip(2, 3, 4), self.weight.dtype)
        padding = tuple(taps - 1 - before for taps, before in zip(self.weight.shape[2:], self.padding_kji, strict=True))
        return Phase(self.parity_kji, mirrored, padding).convolve(gradient)


def transposed_phases(weight: Tensor, dtype: torch.dtype) -> list[Phase]:
    """The eight phases of a transposed depthwise convolution of weight (C, 1, k, k, k), k odd and at least 3."""
    return [_phase(weight.detach().to(dtype), parity) for parity in product((0, 1), repeat=3)]


def first_tap(kernel: int, parity: int) -> int:
    """The taps that reach the outputs of a parity are this one and every second one from it."""
    return (parity + kernel // 2) % 2


class TransposedDepthwise:
    """A transposed depthwise convolution of stride 2 and odd kernel >= 3, weights copied from an nn.ConvTranspose3d."""

    def __init__(self, conv: nn.ConvTranspose3d, dtype: torch.dtype) -> None:
        self.bias = conv.bias.detach().to(dtype, copy=True)
        self.phases = transposed_phases(conv.weight, dtype)

    def __call__(self, rows: Rows) -> dict[Parity, Rows]:
        """Every output voxel 2 m + parity, m from 0: n voxels of an axis give n even and n - 1 odd outputs.

        Returns:
            parity_kji -> rows of that phase; phases without any voxel are left out.
        """
        return {
            phase.parity_kji: Rows.from_volume(phase.convolve(rows.volume, self.bias))
            for phase in phases_with_voxels(self.phases, rows.grid_kji)
        }


def phases_with_voxels(phases: list[Phase], grid_kji: Parity) -> list[Phase]:
    """The phases that an input of this grid has: a single voxel has no odd outputs."""
    return [phase for phase in phases if all(n > p for n, p in zip(grid_kji, phase.parity_kji, strict=True))]


def channels_last(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy of a convolution weight in the layout of the activations."""
    return weight.detach().to(dtype, copy=True).contiguous(memory_format=torch.channels_last_3d)


def _phase(weight: Tensor, parity_kji: Parity) -> Phase:
    for axis, parity in enumerate(parity_kji, start=2):
        kernel = weight.shape[axis]
        weight = weight.index_select(axis, torch.arange(first_tap(kernel, parity), kernel, 2).flip(0))
    # An even output has as many input neighbors on either side; an odd one sits half-way, its n - 1 outputs need one less.
    padding = tuple((taps - 1) // 2 for taps in weight.shape[2:])
    return Phase(parity_kji, channels_last(weight, weight.dtype), padding)
