"""What is put into a MedNeXt for its pre-training alone: the token of hidden voxels, and two ways from its stages back to an image.

As in FreMIM (see focal_frequency.py): the stages of stride 1, 2 and 4 of the encoder and that of stride 8 of the decoder are joined from
the coarsest to the finest for the high frequencies, and from the finest to the coarsest, at a quarter of the grid, for the low ones.
What differs, on purpose: weights by frequency are one number a channel, so that any window will do; their offset starts at 0 instead of
1, which would put a peak into the first voxel; norms are those of one sample.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.adapt.pretraining.focal_frequency import HIGH_FROM, LOW_TO, focal_frequency_loss, low_band
from mednextseg.networks.plug_ins.plug_in import PlugIn, Sites

STAGES = ("enc_block_0", "enc_block_1", "enc_block_2", "dec_block_3")
_LOW_WEIGHT = 1.3
_QUARTER = 4


class FrequencyHeads(PlugIn):
    """Gathers the stages of a forward pass in training mode, and answers with the loss of that pass."""

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        widths = sites.widths[: len(STAGES)]
        self.token = nn.Parameter(torch.ones(sites.in_channels))
        self.up = nn.ModuleList(nn.ConvTranspose3d(widths[n + 1], widths[n], 2, stride=2) for n in range(len(widths) - 1))
        self.down = nn.ModuleList(nn.Conv3d(widths[n], widths[n + 1], 3, stride=2, padding=1) for n in range(len(widths) - 1))
        self.join_up = nn.ModuleList(_join(width) for width in widths[:-1])
        self.join_down = nn.ModuleList(_join(width) for width in widths[1:])
        self.high, self.low = _ToImage(widths[0], sites.in_channels), _ToImage(widths[-1], sites.in_channels)
        self._gathered: dict[str, list[Tensor]] = {}

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        if stage in STAGES and self.training:
            self._gathered.setdefault(stage, []).append(x)
        return x

    def hide(self, image: Tensor, hidden: Tensor) -> Tensor:
        """The image (N, C, K, J, I) with the token in place of its hidden voxels (N, 1, K, J, I)."""
        return torch.where(hidden, self.token.view(1, -1, 1, 1, 1), image)

    def loss(self, image: Tensor) -> Tensor:
        """Of the last forward pass, whose input was hidden in part; `image` is the whole one. What was gathered is forgotten."""
        gathered, self._gathered = self._gathered, {}
        features = [torch.cat(gathered[stage]) for stage in STAGES]
        fine, coarse = self.high(self._upwards(features)), self._downwards(features)
        small = F.avg_pool3d(image, _QUARTER)
        coarse = self.low(F.interpolate(coarse, small.shape[2:], mode="trilinear"))
        high = ~low_band(image.shape[2:], HIGH_FROM).to(image.device)
        low = low_band(small.shape[2:], LOW_TO).to(image.device)
        return focal_frequency_loss(fine, image, high) + _LOW_WEIGHT * focal_frequency_loss(coarse, small, low)

    def _upwards(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        for level in reversed(range(len(self.up))):
            x = self.join_up[level](torch.cat([self.up[level](x), features[level]], dim=1))
        return x

    def _downwards(self, features: list[Tensor]) -> Tensor:
        x = features[0]
        for level, finer in enumerate(self.down):
            x = self.join_down[level](torch.cat([finer(x), features[level + 1]], dim=1))
        return x


class _ToImage(nn.Module):
    """x + |IFFT(w FFT(x) + b)|, then a 1x1x1 convolution to the channels of the image."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1, 1))
        self.conv = nn.Conv3d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        axes = (-3, -2, -1)
        changed = torch.fft.ifftn(self.weight * torch.fft.fftn(x, dim=axes) + self.bias, dim=axes)
        return self.conv(x + changed.abs())


def _join(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(2 * width, width, 1), nn.GroupNorm(width, width), nn.ReLU())
