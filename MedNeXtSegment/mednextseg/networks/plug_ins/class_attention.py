"""Category-guided attention: every voxel of the bottleneck gets the mean features of the class that it seems to be of.

Paper: Li et al., "Category Guided Attention Network for Brain Tumor Segmentation in MRI", 2022 (arXiv:2203.15383). The code is our own.

    logits = four strided convolutions of the image, taught by 20 * MSE to the one-hot labels at stride 16
    M_c = where class c is largest;  a_c = mean of the features F over M_c;  F <- F + gate * sum_c a_c M_c

What differs, on purpose: stride 16 for a MedNeXt; the gate, which starts at zero, so that the network starts as it was; classes that are
absent add nothing instead of a division by nothing. The published term between classes is left out.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.networks.plug_ins.plug_in import PlugIn, Sites

_WEIGHT, _HIDDEN = 20.0, 16


@dataclass(frozen=True)
class ClassAttentionConfig:
    """Attention at the bottleneck."""

    kind: str = "class_attention"


class ClassAttention(PlugIn):
    """Looks at the image at once, and adds to the bottleneck."""

    def __init__(self, config: ClassAttentionConfig, sites: Sites) -> None:
        super().__init__()
        halvings = len(sites.widths) - 1
        widths = [sites.in_channels, *[_HIDDEN] * (halvings - 1), sites.num_classes]
        self.look = nn.Sequential(*(nn.Conv3d(a, b, 3, 2, 1) for a, b in pairwise(widths)))
        self.gate = nn.Parameter(torch.zeros(1))
        self._logits: list[Tensor] = []

    def begin(self, image: Tensor, memory: dict[str, Any]) -> None:
        memory["logits"] = self.look(image)
        if self.training:
            self._logits.append(memory["logits"])

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        if stage != "bottleneck":
            return x
        logits = memory["logits"]
        masks = F.one_hot(logits.argmax(1), logits.shape[1]).flatten(1, 3).to(x.dtype)  # (N, voxels, classes)
        return x + self.gate * class_means(x.flatten(2), masks).unflatten(2, x.shape[2:])

    def extra_loss(self, logits: Tensor, codes: Tensor) -> Tensor | None:
        found, self._logits = torch.cat(self._logits), []
        step, classes = codes.shape[1] // found.shape[2], found.shape[1]
        here = codes[:, step // 2 :: step, step // 2 :: step, step // 2 :: step]
        is_known = here < classes
        if not is_known.any():
            return None
        target = F.one_hot(here.clamp(max=classes - 1), classes).movedim(-1, 1)
        error = (found.to(logits.dtype) - target).square().mean(1)
        return _WEIGHT * error[is_known].mean()


def class_means(features: Tensor, masks: Tensor) -> Tensor:
    """Each voxel's features (N, C, voxels) replaced by the mean over its class; masks (N, voxels, classes) are one-hot."""
    count = masks.sum(1).clamp_min(1)  # (N, classes)
    means = features @ masks / count[:, None]
    return means @ masks.transpose(1, 2)
