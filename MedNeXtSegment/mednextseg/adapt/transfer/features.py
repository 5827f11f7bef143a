"""What a network sees: the outputs of its stages, gathered while it runs, and how far two networks are apart by them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mednextseg.networks.plug_ins.plug_in import PlugIn

_LEAST_SHARE = 0.1


class Features(PlugIn):
    """Gathers the outputs of all stages; changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._gathered: dict[str, list[Tensor]] = {}

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        self._gathered.setdefault(stage, []).append(x)
        return x

    def taken(self) -> dict[str, Tensor]:
        """Stage -> features (N, C, K, J, I) since the last call, which are then forgotten."""
        gathered, self._gathered = self._gathered, {}
        return {stage: torch.cat(parts) for stage, parts in gathered.items()}


def feature_distance(seen: dict[str, Tensor], wanted: dict[str, Tensor], overlap: Tensor) -> Tensor:
    """Mean over stages of the squared difference, each channel by its own variance, where the images overlap.

    Args:
        seen, wanted: of two networks with the same stages; gradients go to `seen` alone.
        overlap: (N, 1, K, J, I), 1 where both images have values. A coarse voxel counts where all of its fine ones do.
    """
    terms = []
    for stage, gathered in wanted.items():
        target = gathered.detach()
        inside = (F.adaptive_avg_pool3d(overlap, target.shape[2:]) > 0.999).to(target.dtype)
        count = inside.sum().clamp_min(1)
        mean = (target * inside).sum((0, 2, 3, 4), keepdim=True) / count
        variance = ((target - mean).square() * inside).sum((0, 2, 3, 4), keepdim=True) / count
        floor = _LEAST_SHARE * variance.mean()  # for channels that hardly vary
        if floor > 0:  # a stage that answers alike everywhere says nothing
            difference = (seen[stage] - target).square() * inside / (variance + floor)
            terms.append(difference.sum() / (count * target.shape[1]))
    nothing = sum(features.sum() for features in seen.values()) * 0
    return torch.stack(terms).mean() if terms else nothing
