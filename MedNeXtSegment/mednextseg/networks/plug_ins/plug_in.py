"""The places of a network where something can be put in, and the form of what is put there.

A MedNeXt calls `PlugIns.begin` with its input, `ForwardPass.after` with the output of each stage, and `ForwardPass.skips` with the four
skip connections before its decoder. The fast kernels do the same, one sample at a time; so a plug-in must treat the samples of a batch
independently of each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

# What only serves a training stands under this name, and is not packaged.
FOR_TRAINING = "for_training"
PREFIX = "plug_ins."


@dataclass(frozen=True)
class Sites:
    """What a plug-in may be built for.

    Attributes:
        in_channels, num_classes: of the network.
        widths: channels of the levels, finest first, the bottleneck last; level n has the stride 2**n.
    """

    in_channels: int
    num_classes: int
    widths: tuple[int, ...]


class PlugIn(nn.Module):
    """Takes part in a network's forward pass; every method may stay as it is here, which changes nothing.

    `memory` belongs to one forward pass: several may run at the same time in threads.
    """

    def begin(self, image: Tensor, memory: dict[str, Any]) -> None:
        """A forward pass begins with this input (N, in_channels, K, J, I)."""

    def after(self, stage: str, x: Tensor, memory: dict[str, Any]) -> Tensor:
        """What goes on in place of the output x (N, C, K, J, I) of a stage: "enc_block_0", "bottleneck", "dec_block_0", ..."""
        return x

    def skips(self, skips: list[Tensor], memory: dict[str, Any]) -> list[Tensor]:
        """What the decoder gets in place of the skip connections, finest first."""
        return skips

    def extra_loss(self, logits: Tensor, codes: Tensor) -> Tensor | None:
        """What it adds to the loss of the last forward passes in training mode, of which it then forgets what it kept.

        Args:
            logits: (N, classes, K, J, I), full size.
            codes: (N, K, J, I) of adapt/mednext/partial_labels.py: classes, and larger numbers where that is not known.
        """
        return None


class PlugIns(nn.ModuleDict):
    """All of a network, in the order in which they act."""

    def __init__(self, modules: Mapping[str, PlugIn] | None = None) -> None:
        super().__init__(modules)

    def begin(self, image: Tensor) -> "ForwardPass":
        """A forward pass over this input."""
        return ForwardPass(self.values(), image)

    def extra_loss(self, logits: Tensor, codes: Tensor) -> Tensor | float:
        """The sum of what they add to the loss."""
        found = [plug_in.extra_loss(logits, codes) for plug_in in self.values()]
        return sum(loss for loss in found if loss is not None)


class ForwardPass:
    """One pass through the network, as the plug-ins see it."""

    def __init__(self, plug_ins: Iterable[PlugIn], image: Tensor) -> None:
        self._steps: Sequence[tuple[PlugIn, dict[str, Any]]] = [(plug_in, {}) for plug_in in plug_ins]
        for plug_in, memory in self._steps:
            plug_in.begin(image, memory)

    def after(self, stage: str, x: Tensor) -> Tensor:
        """A stage is done."""
        for plug_in, memory in self._steps:
            x = plug_in.after(stage, x, memory)
        return x

    def skips(self, skips: list[Tensor]) -> list[Tensor]:
        """The encoder is done."""
        for plug_in, memory in self._steps:
            skips = plug_in.skips(skips, memory)
        return skips
