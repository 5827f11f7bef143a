"""Med-Adapters: small modules behind every stage of a frozen network, which alone are trained.

Paper: Shen et al., "Med-Tuning: A New Parameter-Efficient Tuning Framework for Medical Volumetric Segmentation", MIDL 2024
(arXiv:2304.10880); for a 2D transformer there, ported to stages of a 3D convolutional network here. The code is our own.

    x -> 1x1x1 to few channels -> GELU -> h
    h -> 3x3x3 separable + 5x5x5 separable + frequency branch -> 1x1x1, joined with the stage before -> + h -> 1x1x1 back -> + x

What differs from the published code, on purpose: the way back starts at zero and has no GELU behind it, so that the network starts as it
was; the frequency weights are read at any depth; their bias starts at zero, because one puts a peak into the first voxel of every
window; norms are of one sample, so that frozen statistics and the size of a batch play no part.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mednextseg.json_values import whole_number
from mednextseg.networks.plug_ins.plug_in import PlugIn, Sites


@dataclass(frozen=True)
class AdaptersConfig:
    """Adapters behind every stage.

    Attributes:
        reduction: a stage of C channels gets an adapter of C / reduction. 8 keeps a MedNeXt's adapters below 5 % of its weights.
        frequencies: how many weights along K the frequency branch has; other depths lie between them.
    """

    reduction: int = 8
    frequencies: int = 32
    kind: str = "adapters"

    def __post_init__(self) -> None:
        whole_number(self.reduction, "reduction of adapters", 1)
        whole_number(self.frequencies, "frequencies of adapters", 1)


class FrequencyBranch(nn.Module):
    """|inverse FFT(w * FFT(x) + b)|, with a weight and a bias for each frequency along K."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(frequencies))
        self.bias = nn.Parameter(torch.zeros(frequencies))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x  # which have no transform
        spectrum = torch.fft.fftn(x.contiguous(), dim=(2, 3, 4))
        weight, bias = (_at_depth(values, x.shape[2])[:, None, None] for values in (self.weight, self.bias))
        return torch.fft.ifftn(weight * spectrum + bias, dim=(2, 3, 4)).abs()


def _at_depth(values: Tensor, depth: int) -> Tensor:
    """Values at the frequencies 0, 1/n, 2/n, ... of n of them, read linearly at those of another depth; frequencies come round."""
    if depth == values.shape[0]:
        return values
    count = values.shape[0]
    place = np.arange(depth) * (count / depth)
    lower = place.astype(np.int64)
    share = torch.as_tensor(place - lower, dtype=values.dtype, device=values.device)
    below, above = (values[torch.as_tensor(index, device=values.device)] for index in (lower, (lower + 1) % count))
    return below * (1 - share) + above * share


class Adapter(nn.Module):
    """One adapter; `forward` also returns what the next one joins with its own."""

    def __init__(self, channels: int, before: int | None, config: AdaptersConfig) -> None:
        super().__init__()
        hidden = adapter_width(channels, config)
        self.down = nn.Conv3d(channels, hidden, 1)
        self.small, self.large = _separable(hidden, 3), _separable(hidden, 5)
        self.frequency = FrequencyBranch(config.frequencies)
        self.mix = nn.Conv3d(hidden, hidden, 1)
        self.from_before = self.join = None
        if before is not None:
            self.from_before = nn.Conv3d(before, hidden, (1, 3, 3), stride=2, padding=(0, 1, 1))
            self.join = nn.Conv3d(2 * hidden, hidden, 1)
        self.up = nn.Conv3d(hidden, channels, 1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        short = F.gelu(self.down(x))
        found = self.mix(self.small(short) + self.large(short) + self.frequency(short).to(short.dtype))
        if self.join is not None:
            found = self.join(torch.cat([found, self.from_before(before)], dim=1))
        return x + self.up(found + short), found


def adapter_width(channels: int, config: AdaptersConfig) -> int:
    """Channels of the adapter of a stage."""
    return max(1, channels // config.reduction)


def _separable(channels: int, size: int) -> nn.Sequential:
    half = size // 2
    return nn.Sequential(
        nn.Conv3d(channels, channels, (1, size, size), padding=(0, half, half), groups=channels),
        nn.Conv3d(channels, channels, (size, 1, 1), padding=(half, 0, 0), groups=channels),
        nn.GroupNorm(channels, channels),
        nn.ReLU(),
    )


class Adapters(PlugIn):
    """An adapter behind each stage of encoder, bottleneck and decoder; those of the encoder also see the one before them."""

    def __init__(self, config: AdaptersConfig, sites: Sites) -> None:
        super().__init__()
        *levels, bottleneck = range(len(sites.widths))
        for level in levels:
            before = adapter_width(sites.widths[level - 1], config) if level else None
            setattr(self, f"enc_block_{level}", Adapter(sites.widths[level], before, config))
        before = adapter_width(sites.widths[bottleneck - 1], config)
        self.bottleneck = Adapter(sites.widths[bottleneck], before, config)
        for level in levels:
            setattr(self, f"dec_block_{level}", Adapter(sites.widths[level], None, config))

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        adapter = self._modules.get(stage)
        if adapter is None:
            return x
        x, memory["before"] = adapter(x, memory.get("before"))
        return x
