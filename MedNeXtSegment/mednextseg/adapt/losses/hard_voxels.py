"""Online hard example mining (OHEM): cross-entropy over the voxels that cost most; MedISeg takes 70 %."""

from torch import Tensor

_SHARE = 0.7


def voxels(log_probability: Tensor) -> Tensor:
    """Mean over the most expensive 70 % of the voxels."""
    count = max(1, int(_SHARE * log_probability.numel()))
    return -log_probability.topk(count, largest=False, sorted=False).values.mean()
