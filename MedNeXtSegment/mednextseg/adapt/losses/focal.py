"""Focal loss: a voxel that is nearly right costs next to nothing.

Paper: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4, with its exponent of 2. Its factor that balances two
classes is left out: Dice beside it does that for any number.
"""

from torch import Tensor

_EXPONENT = 2


def voxels(log_probability: Tensor) -> Tensor:
    """Mean of (1 - p)^2 times the cross-entropy."""
    return -((1 - log_probability.exp()) ** _EXPONENT * log_probability).mean()
