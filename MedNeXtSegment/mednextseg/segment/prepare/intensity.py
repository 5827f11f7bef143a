"""Intensities as the network was trained on them."""

from dataclasses import dataclass, replace

import numpy as np

from mednextseg.models.normalization import Normalization

_VALUES_AT_ONCE = 2**22
_SMALLEST_STD = 1e-8  # as in nnU-Net: a constant image becomes zeros instead of NaN
_OUTER_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class IntensityScaling:
    """A normalization whose numbers are settled: clip to [lower, upper], subtract `shift`, divide by `scale`.

    Attributes:
        nonzero_only: voxels that are exactly zero stay zero.
    """

    lower: float = -np.inf
    upper: float = np.inf
    shift: float = 0.0
    scale: float = 1.0
    nonzero_only: bool = False

    def apply(self, volume_kji: np.ndarray, mask_kji: np.ndarray | None = None) -> np.ndarray:
        """The scaled volume as float32, 0 outside the mask where there is one; the input is not changed."""
        volume = volume_kji.astype(np.float32)
        outside = volume == 0 if self.nonzero_only else None
        if mask_kji is not None:
            outside = ~mask_kji
        if self.lower > -np.inf or self.upper < np.inf:
            np.clip(volume, self.lower, self.upper, out=volume)
        volume -= np.float32(self.shift)
        volume /= np.float32(self.scale)
        if outside is not None:
            volume[outside] = 0
        return volume


def fit_scaling(volume_kji: np.ndarray, normalization: Normalization, mask_kji: np.ndarray | None = None) -> IntensityScaling:
    """Settle a normalization's numbers on a volume: its mean and deviation, or its range, where the scheme asks for them.

    Args:
        volume_kji: the image, or the part of it that counts.
        normalization: what the model card asks for.
        mask_kji: bool, the voxels to look at; None for all.
    """
    if normalization.scheme == "clip_zscore":  # looks at the bounds, never at the mask
        lower, upper = normalization.lower, normalization.upper
        return _standardizing(volume_kji[(volume_kji > lower) & (volume_kji < upper)], lower, upper)
    if mask_kji is not None and mask_kji.any():
        volume_kji = volume_kji[mask_kji]
    if normalization.scheme == "ct":
        scale = max(normalization.std, _SMALLEST_STD)
        return IntensityScaling(normalization.lower, normalization.upper, normalization.mean, scale)
    if normalization.scheme == "percentile_zscore":
        lower, upper = np.percentile(volume_kji, _OUTER_PERCENTILES).tolist()
        return _standardizing(np.clip(volume_kji, lower, upper), lower, upper)
    if normalization.scheme == "minmax":
        low, high = float(volume_kji.min()), float(volume_kji.max())
        return IntensityScaling(shift=low, scale=max(high - low, _SMALLEST_STD))
    if normalization.scheme == "none":
        return IntensityScaling()
    if normalization.scheme == "zscore_nonzero":
        return replace(_standardizing(volume_kji[volume_kji != 0]), nonzero_only=True)
    return _standardizing(volume_kji)


def _standardizing(values: np.ndarray, lower: float = -np.inf, upper: float = np.inf) -> IntensityScaling:
    """Clip, then subtract the mean of these values and divide by their deviation; without values nothing but the clipping is done."""
    if values.size == 0:
        return IntensityScaling(lower, upper)
    mean = float(values.mean(dtype=np.float64))
    # In parts: the differences of a whole volume in double precision are four times a CT of 16 bits.
    parts = np.array_split(values, 1 + values.size // _VALUES_AT_ONCE)
    std = (sum(float(np.square(part - mean).sum(dtype=np.float64)) for part in parts) / values.size) ** 0.5
    return IntensityScaling(lower, upper, shift=mean, scale=max(std, _SMALLEST_STD))


def normalize(volume_kji: np.ndarray, normalization: Normalization) -> np.ndarray:
    """The volume as float32, scaled by its own numbers as the model card asks; the input is not changed."""
    return fit_scaling(volume_kji, normalization).apply(volume_kji)
