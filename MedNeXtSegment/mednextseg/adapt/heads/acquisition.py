"""What a scanner and a protocol do to an image: thick slices, blur, bias field, noise, gray scale, a field of view that ends early."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mednextseg.adapt.heads.random_draws import chance, integer, uniform

_THICKEST_SLICE_MM = 8.0
_FEWEST_SLICES = 8


def acquired(
    image: Tensor, codes: Tensor, generator: Generator, spacing_mm: float, noise: float, lost: int
) -> tuple[Tensor, Tensor]:
    """The image as a random protocol would have taken it, and the codes that are still true for it.

    Args:
        image: (K, J, I) float, any scale. codes: (K, J, I).
        noise: largest standard deviation of the noise, on the image's scale.
        lost: code for voxels beyond a cut field of view, whose intensity is 0.
    Returns:
        Image in 0..1 and codes, both new.
    """
    x = image[None, None]
    if chance(generator, 0.35):
        x = _thick_slices(x, integer(generator, 0, 3), uniform(generator, 1.3, max(2.0, _THICKEST_SLICE_MM / spacing_mm)))
    if chance(generator, 0.5):
        width = uniform(generator, 0, 0.7)
        for axis in range(3):
            x = blurred(x, width, axis)
    bias = torch.randn(1, 1, 4, 4, 4, generator=generator) * uniform(generator, 0, 0.35)
    x = x * torch.exp(F.interpolate(bias, size=x.shape[2:], mode="trilinear", align_corners=True))
    x = x + torch.randn(x.shape, generator=generator) * uniform(generator, 0, noise)
    x = unit_range(x) ** math.exp(uniform(generator, -0.4, 0.4))
    x, codes = x[0, 0], codes.clone()
    if chance(generator, 0.15):
        cut = _cut(codes.shape, generator)
        x[cut], codes[cut] = 0, lost
    return x, codes


def unit_range(image: Tensor, tail: float = 0.002) -> Tensor:
    """The image with these quantiles (of every 37th voxel) brought to 0 and 1, and clipped there."""
    low, high = torch.quantile(image.flatten()[::37], torch.tensor([tail, 1 - tail]))
    return ((image - low) / (high - low + 1e-6)).clamp(0, 1)


def standardized(image: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1, as the network sees every image."""
    return (image - image.mean()) / (image.std() + 1e-6)


def blurred(x: Tensor, width: float, axis: int) -> Tensor:
    """(1, 1, K, J, I) convolved along an axis with a Gaussian; width is its standard deviation in voxels."""
    if width < 0.15:
        return x
    reach = max(1, int(3 * width))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    shape, padding = [1] * 5, [0] * 6
    shape[2 + axis] = len(kernel)
    padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = reach  # F.pad counts from the last axis
    return F.conv3d(F.pad(x, padding, mode="replicate"), (kernel / kernel.sum()).view(shape))


def _thick_slices(x: Tensor, axis: int, factor: float) -> Tensor:
    size = list(x.shape[2:])
    size[axis] = max(_FEWEST_SLICES, round(size[axis] / factor))
    slices = F.interpolate(blurred(x, 0.42 * factor, axis), size=size, mode="nearest")
    return F.interpolate(slices, size=x.shape[2:], mode="trilinear", align_corners=False)


def _cut(shape: torch.Size, generator: Generator) -> tuple[slice, ...]:
    axis = integer(generator, 0, 3)
    width = int(uniform(generator, 0, 0.3) * shape[axis])
    cut = [slice(None)] * 3
    cut[axis] = slice(0, width) if chance(generator, 0.5) else slice(shape[axis] - width, None)
    return tuple(cut)
