"""The intensity steps of a model's own program, as MONAI computes them: float32, over all channels together or each apart."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mednextseg.models.preparation import ScaleMinMax, ScalePercentiles, ScaleRange, Squash, Standardize, Step


def apply_intensity_step(image_ckji: Tensor, step: Step) -> Tensor:
    """The image after one step.

    Args:
        image_ckji: float32 (channels, K, J, I); may be changed.
        step: of preparation, other than resampling and cropping.
    """
    if isinstance(step, ScaleRange):
        return _scaled(image_ckji, step.a_min, step.a_max, step.b_min, step.b_max, step.clip)
    if isinstance(step, Squash):
        return image_ckji.sigmoid() if step.curve == "sigmoid" else 3 * torch.tanh(image_ckji / 3)
    of_one = _OF_ONE_IMAGE[type(step)]
    return torch.stack([of_one(channel, step) for channel in image_ckji]) if step.per_channel else of_one(image_ckji, step)


def _scaled(image: Tensor, a_min: float, a_max: float, b_min: float, b_max: float, clip: bool) -> Tensor:
    if a_max == a_min:
        return image - a_min + b_min
    image = (image - a_min) / (a_max - a_min) * (b_max - b_min) + b_min
    return image.clamp(b_min, b_max) if clip else image


def _by_percentiles(image: Tensor, step: ScalePercentiles) -> Tensor:
    a_min, a_max = np.percentile(image.numpy(), (step.lower, step.upper)).tolist()
    b_min, b_max = step.b_min, step.b_max
    if step.relative:
        b_min, b_max = ((b_max - b_min) * percent / 100 + b_min for percent in (step.lower, step.upper))
    return _scaled(image, a_min, a_max, b_min, b_max, step.clip)


def _by_range(image: Tensor, step: ScaleMinMax) -> Tensor:
    low, high = float(image.min()), float(image.max())
    if low == high:
        return image * step.low
    return (image - low) / (high - low) * (step.high - step.low) + step.low


def _standardized(image: Tensor, step: Standardize) -> Tensor:
    counted = image != 0 if step.nonzero_only else torch.ones_like(image, dtype=torch.bool)
    values = image[counted].double()
    if values.numel() == 0:
        return image
    mean = float(values.mean()) if step.subtrahend is None else step.subtrahend
    deviation = float(values.std(unbiased=False)) if step.divisor is None else step.divisor
    return torch.where(counted, (image - mean) / (deviation or 1.0), image)


_OF_ONE_IMAGE: dict[type, Callable[[Tensor, Step], Tensor]] = {
    ScalePercentiles: _by_percentiles,
    ScaleMinMax: _by_range,
    Standardize: _standardized,
}
