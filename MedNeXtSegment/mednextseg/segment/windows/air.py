"""Windows that hold nothing but air, by the intensity that the model's card gives for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mednextseg.segment.windows.layout import Window


@dataclass(frozen=True)
class AirRule:
    """Which voxels are air.

    Attributes:
        below: of each channel of the image, as the network sees it: values below are air.
    """

    below: tuple[float, ...]

    def holds(self, image_ckji: np.ndarray, window: Window, patch_kji: Sequence[int]) -> bool:
        """Whether every voxel of a window is air in every channel; channels beyond those of the image are not asked."""
        box = window.slices(patch_kji)
        return all(bool(channel[box].max() < limit) for channel, limit in zip(image_ckji, self.below, strict=False))
