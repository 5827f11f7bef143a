"""Gradients of depthwise convolutions on channels-last activations.

What PyTorch calls for them (oneDNN's backward kernels for depthwise 3D convolutions) takes four to fifty times as long as the
forward convolution. Two rewritings avoid it:

- Input: the gradient is a convolution again. Stride 1: the forward one with the kernel mirrored. Stride 2: a transposed
  convolution, which kernels/cpu/depthwise.py computes as eight plain ones; and the other way round.
- Weight: the taps of one plane of the kernel are the weight gradient of a 2D convolution whose batch are the planes of the
  volume. For 2D, oneDNN's kernel is fast.

The activations are (1, C, K, J, I), channels_last_3d; weights (C, 1, k, k, k) with k odd and padding k // 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mednextseg.kernels.cpu.depthwise import Parity, Phase, channels_last, first_tap, transposed_phases

Volumes = dict[Parity, Tensor]


def plain_input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Of a convolution of stride 1; the shape of the gradient of its output, a new tensor."""
    mirrored = channels_last(weight.flip(2, 3, 4), weight.dtype)
    return F.conv3d(gradient, mirrored, padding=weight.shape[-1] // 2, groups=weight.shape[0])


def strided_input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Of a convolution of stride 2 whose input had even sizes, twice those of its output."""
    sizes = (2 * n for n in gradient.shape[2:])
    result = torch.empty(*gradient.shape[:2], *sizes, dtype=gradient.dtype, memory_format=torch.channels_last_3d)
    for phase in transposed_phases(weight, weight.dtype):
        # The transposed convolution of n voxels has n - 1 odd outputs; the last voxel of an even input is one more.
        padded = F.pad(gradient, [n for parity in reversed(phase.parity_kji) for n in (0, parity)])
        result[(..., *(slice(parity, None, 2) for parity in phase.parity_kji))] = phase.convolve(padded)
    return result


def plain_weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int) -> Tensor:
    """(C, 1, k, k, k) of a convolution of input `x`; `gradient` is that of its output."""
    return _weight_gradient(x, gradient, (kernel,) * 3, (kernel // 2,) * 3, stride)


def transposed_input_gradient(gradients: Volumes, phases: list[Phase]) -> Tensor:
    """Of a transposed convolution; `gradients` are those of its phases."""
    total = None
    for phase in phases:
        if phase.parity_kji not in gradients:
            continue
        part = phase.convolve_back(gradients[phase.parity_kji])
        total = part if total is None else total.add_(part)
    return total


def transposed_weight_gradient(x: Tensor, gradients: Volumes, kernel: int) -> Tensor:
    """(C, 1, k, k, k) of a transposed convolution of input `x`; `gradients` are those of its phases."""
    result = x.new_zeros(x.shape[1], 1, kernel, kernel, kernel)
    for parity_kji, gradient in gradients.items():
        firsts = [first_tap(kernel, parity) for parity in parity_kji]
        taps = tuple(len(range(first, kernel, 2)) for first in firsts)
        part = _weight_gradient(x, gradient, taps, tuple((n - 1) // 2 for n in taps), 1)
        result[(..., *(slice(first, None, 2) for first in firsts))] = part.flip(2, 3, 4)
    return result


def _weight_gradient(x: Tensor, gradient: Tensor, taps: Parity, padding: Parity, stride: int) -> Tensor:
    """(C, 1, taps) where output voxel m reads x[stride * m + tap - padding]."""
    x_planes, planes = x[0].transpose(0, 1), gradient[0].transpose(0, 1)  # (K, C, J, I)
    weight = x.new_zeros(x.shape[1], 1, *taps)
    for tap in range(taps[0]):
        offset = tap - padding[0]
        first = max(0, -(offset // stride))
        last = min(planes.shape[0], (x_planes.shape[0] - 1 - offset) // stride + 1)
        if last > first:
            start = stride * first + offset
            inputs = x_planes[start : start + stride * (last - first - 1) + 1 : stride]
            weight[:, :, tap] = _plane_weight_gradient(inputs, planes[first:last], taps[1:], padding[1:], stride)
    return weight


def _plane_weight_gradient(x: Tensor, gradient: Tensor, taps: tuple[int, int], padding: tuple[int, int], stride: int) -> Tensor:
    """(C, 1, taps) of a depthwise 2D convolution of x (planes, C, J, I)."""
    channels = x.shape[1]
    if taps == (1, 1):  # oneDNN has no depthwise kernel of a single tap
        return (x * gradient).sum((0, 2, 3)).view(channels, 1, 1, 1)
    shape_only = x.new_empty(channels, 1, *taps).contiguous(memory_format=torch.channels_last)
    _, weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, shape_only, None, (stride,) * 2, padding, (1, 1), False, (0, 0), channels, (False, True, False)
    )
    return weight
