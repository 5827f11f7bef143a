"""ClickNet: a small residual U-Net that follows clicks, boxes and an earlier mask on one slice.

The input channels and the training by simulated clicks follow RITM (Sofiiuk et al. 2021, arXiv 2102.06583) and ScribblePrompt
(Wong et al. 2024, arXiv 2312.07381). Plain 3x3 convolutions, and none at full resolution: depthwise or full-resolution ones are
bound by memory on a CPU, where a click must stay below 100 ms.
"""

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS = ("image", "positive", "negative", "box", "previous")
STRIDE = 16  # both sides of an input must be divisible by it
_GROUPS = 8


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalization beside a shortcut (1x1 where the width changes)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(_GROUPS, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(_GROUPS, out_channels)
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
        nn.init.zeros_(self.norm2.weight)  # the block starts as its shortcut, which lets training start at the full rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ClickNet(nn.Module):
    """Encoder with a stride-2 stem, decoder that adds the skips, pixel-shuffle head at full resolution, quality head.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the input's resolution; multiples of 8.
        deepest_blocks: residual blocks at 1/16, where a block sees 64 more input pixels.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (32, 64, 128, 256), deepest_blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(len(CHANNELS), widths[0], 6, stride=2, padding=2)
        blocks = [1, 1, 1, deepest_blocks]
        inputs = (widths[0], *widths[:-1])
        self.encoder = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(wide_in, wide, stride=1 if level == 0 else 2),
                *(ResidualBlock(wide, wide) for _ in range(blocks[level] - 1)),
            )
            for level, (wide_in, wide) in enumerate(zip(inputs, widths, strict=True))
        )
        self.narrow = nn.ModuleList(nn.Conv2d(widths[n + 1], widths[n], 1) for n in range(3))
        self.decoder = nn.ModuleList(ResidualBlock(widths[n], widths[n]) for n in range(3))
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)
        nn.init.constant_(self.head.bias, -1.0)  # most pixels are background
        self.quality_head = nn.Sequential(nn.Linear(2 * widths[0] + widths[-1], 32), nn.ReLU(inplace=True), nn.Linear(32, 1))

    def forward(self, channels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One prompt round.

        Args:
            channels: (N, 5, H, W) float, in the order of CHANNELS, H and W divisible by 16. What they hold is
                said by refine/prompters/prompt_channels.py; the previous mask is 0 everywhere where there is none.
        Returns:
            logits (N, 1, H, W), and the quality logit (N, 1): after a sigmoid, the Dice that the network expects of its
            mask; near 0 where the object is not in the slice.
        """
        x, skips = self.stem(channels), []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
        deepest = skips.pop()
        for n in (2, 1, 0):
            x = F.interpolate(self.narrow[n](x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.decoder[n](x + skips[n])
        head = self.head(x)
        # What the features say inside the predicted mask, on the whole slice, and at the deepest level.
        weight = torch.sigmoid(head.detach().mean(dim=1, keepdim=True))
        inside = (x * weight).sum(dim=(2, 3)) / (weight.sum(dim=(2, 3)) + 1.0)
        quality = self.quality_head(torch.cat([inside, x.mean(dim=(2, 3)), deepest.mean(dim=(2, 3))], dim=1))
        return F.pixel_shuffle(head, 2), quality


def build_click_net(widths: tuple[int, int, int, int] = (32, 64, 128, 256), deepest_blocks: int = 2) -> ClickNet:
    """ClickNet with random weights; the arguments are those of the model card's `architecture`."""
    return ClickNet(tuple(widths), deepest_blocks)
