"""Explicit shape priors: a learned map of each class, refined by what the skip connections see, that says where classes are to be expected.

Paper: You et al., "Learning with Explicit Shape Priors for Medical Image Segmentation" (arXiv:2303.17967). The code is our own.
At the skips of stride 8, 4 and 2, with S the priors (classes, grid) and F the skip:

    S <- two transformer blocks over the classes of S          (self-update; a learned bias for each pair of classes)
    P = S, resized to the skip;  F <- two residual blocks
    A = softmax over the classes of F P^T / sqrt(classes * voxels);  F' = F + gate * A P          (cross-update)
    S <- S + F' as classes, averaged over the grid

What differs, on purpose: gates and residual blocks start at zero, so that the network starts as it was; the product is also divided by the
root of the voxels, without which the softmax saturates (a standard deviation of 63 at 64^3); norms are of one sample; windows of any size
take the same priors, resized.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.json_values import whole_number
from mednextseg.networks.plug_ins.plug_in import PlugIn, Sites

_LEVELS = (3, 2, 1)  # coarse to fine
_BLOCKS, _HEADS = 2, 8


@dataclass(frozen=True)
class ShapePriorsConfig:
    """Priors on a grid, usually the window at stride 16."""

    grid_kji: tuple[int, int, int] = (4, 4, 4)
    kind: str = "shape_priors"

    def __post_init__(self) -> None:
        if len(self.grid_kji) != 3:
            raise ValueError(f"grid_kji of shape_priors must be three numbers, got {len(self.grid_kji)}.")
        for n in self.grid_kji:
            whole_number(n, "grid_kji of shape_priors", 1)


class ShapePriors(PlugIn):
    """The priors, and an update at each of three skips."""

    def __init__(self, config: ShapePriorsConfig, sites: Sites) -> None:
        super().__init__()
        self.grid_kji = tuple(config.grid_kji)
        width = math.prod(self.grid_kji)
        self.priors = nn.Parameter(0.02 * torch.randn(sites.num_classes, width))
        for level in _LEVELS:
            setattr(self, f"skip_{level}", _Update(sites.widths[level], width, sites.num_classes))

    def skips(self, skips: list[Tensor], memory: dict[str, Any]) -> list[Tensor]:
        found, state = list(skips), self.priors.expand(skips[0].shape[0], -1, -1)
        for level in _LEVELS:
            found[level], state = getattr(self, f"skip_{level}")(skips[level], state, self.grid_kji)
        return found

    def maps(self) -> Tensor:
        """What was learned: (classes, K, J, I) on the grid of the priors."""
        return self.priors.detach().unflatten(1, self.grid_kji)


class _Update(nn.Module):
    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_ClassBlock(width, classes) for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(width)
        self.residual = nn.ModuleList(_Residual(channels) for _ in range(2))
        self.gate = nn.Parameter(torch.zeros(1))
        self.to_classes = nn.Conv3d(channels, classes, 1)

    def forward(self, x: Tensor, state: Tensor, grid_kji: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        for block in self.blocks:
            state = block(state)
        state = self.norm(state)
        for residual in self.residual:
            x = residual(x)
        maps = F.interpolate(state.unflatten(2, grid_kji), x.shape[2:], mode="trilinear", align_corners=False).flatten(2)
        scale = math.sqrt(maps.shape[1] * maps.shape[2])
        share = (x.flatten(2) @ maps.transpose(1, 2) / scale).softmax(2)  # (N, C, classes)
        x = x + self.gate * (share @ maps).unflatten(2, x.shape[2:])
        return x, state + F.adaptive_avg_pool3d(self.to_classes(x), grid_kji).flatten(2)


class _ClassBlock(nn.Module):
    """A pre-norm transformer block whose tokens are the classes."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.heads = math.gcd(_HEADS, width)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.parts, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.pairs = nn.Parameter(torch.zeros(self.heads, classes, classes))
        self.mlp = nn.Sequential(nn.Linear(width, width * 3 // 2 + 1), nn.GELU(), nn.Linear(width * 3 // 2 + 1, width))

    def forward(self, state: Tensor) -> Tensor:
        query, key, value = self.parts(self.norm_1(state)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = ((query @ key.transpose(2, 3) + self.pairs) / math.sqrt(query.shape[3])).softmax(3)
        state = state + self.joined((weights @ value).transpose(1, 2).flatten(2))
        return state + self.mlp(self.norm_2(state))


class _Residual(nn.Module):
    """x + a 1x1x1 and a depthwise 3x3x3 convolution, the last of which starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv3d(channels, channels, 1), nn.GroupNorm(channels, channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1, groups=channels)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.norm(self.conv1(x))))
