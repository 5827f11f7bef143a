"""The focal frequency loss of FreMIM: the difference of two images by frequency, where the worst frequencies count most.

Paper: Wang et al., "FreMIM: Fourier Transform Meets Masked Image Modeling for Medical Image Segmentation", WACV 2024 (arXiv:2304.10864).
The code is our own, for volumes; the transform is over the three axes of the grid alone (the official one also rolls batch and channels).
"""

import torch
from torch import Tensor

# Half the edge of the low band, as shares of the grid: ten of 128 frequencies at full size, ten of 32 at a quarter of it.
HIGH_FROM, LOW_TO = 10 / 128, 10 / 32


def low_band(shape_kji: tuple[int, int, int], share: float) -> Tensor:
    """bool (K, J, I), in the order of torch.fft: the frequencies within this share of the grid along every axis, zero among them."""
    axes = [torch.fft.fftfreq(n).abs() <= share for n in shape_kji]
    return axes[0][:, None, None] & axes[1][None, :, None] & axes[2][None, None, :]


def focal_frequency_loss(guess: Tensor, truth: Tensor, band: Tensor | None = None, is_focal: bool = True) -> Tensor:
    """Mean over frequencies of the squared difference, each weighted by log(1 + difference) over the largest in its image.

    Args:
        guess, truth: (N, C, K, J, I).
        band: bool (K, J, I), frequencies that count; None for all.
        is_focal: False leaves the weights out: over all frequencies it is then the mean squared error.
    """
    difference = torch.fft.fftn(guess - truth, dim=(-3, -2, -1), norm="ortho")
    squared = difference.real.square() + difference.imag.square()
    if band is not None:
        squared = squared * band
    if not is_focal:
        return squared.mean()
    weight = squared.detach().sqrt().log1p()
    weight = weight / weight.amax(dim=(-3, -2, -1), keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
    return (weight * squared).mean()
