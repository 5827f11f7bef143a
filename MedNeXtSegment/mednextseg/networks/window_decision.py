"""The decision network of window policies: which way of looking at a window is good enough, and where to crop it.

The choices, and networks of their own for choice and crop position, are those of Med-DANet (Wang et al., ECCV 2022) and its V2 (WACV 2024);
those are a ShuffleNet each on a slice. Here a window is one of a few hundred of a volume, so both are two linear layers on pooled
intensities (segment/windows/window_features.py), which cost less than a thousandth of a window.
"""

import torch
from torch import Tensor, nn

HIDDEN = 32


class WindowDecision(nn.Module):
    """Features of windows -> how likely each option falls short, and crop positions.

    Args:
        inputs: features of a window.
        options: ways to look at a window, from the cheapest to the best.
        has_position: whether windows can be cropped.
        hidden: width of the layer between.
    """

    def __init__(self, inputs: int, options: int, has_position: bool, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.choice = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, options))
        self.position = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, 3)) if has_position else None

    def logits(self, features: Tensor) -> Tensor:
        """(N, options): of the cheapest option that is good enough."""
        return self.choice(self._scaled(features))

    def positions(self, features: Tensor) -> Tensor:
        """(N, 3): where the crop lies along K, J, I, from 0 (at the start of the window) to 1 (at its end)."""
        return self.position(self._scaled(features)).sigmoid()

    def falls_short(self, features: Tensor) -> Tensor:
        """(N, options): probability that an option is not good enough; falls from left to right and ends in 0."""
        probabilities = self.logits(features).softmax(dim=1)
        return probabilities.flip(1).cumsum(1).flip(1) - probabilities

    def _scaled(self, features: Tensor) -> Tensor:
        # Intensities that no training has seen must not decide by their size alone.
        return ((features - self.mean) / self.scale).clamp(-5, 5)
