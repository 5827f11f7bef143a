"""Terms of a loss that need features of the network, not its answers alone: put into it for the training, and left out of the package."""

import torch
from torch import Tensor, nn

from mednextseg.networks.mednext import LEVELS, MedNeXt
from mednextseg.networks.plug_ins.misclassified import Misclassified
from mednextseg.networks.plug_ins.plug_in import FOR_TRAINING, PREFIX, Sites


def attach(loss: str, network: nn.Module, seed: int) -> None:
    """Put into the network what the loss of this name needs; the same seed gives the same.

    Raises:
        ValueError: for a network that has no places for it.
    """
    if loss != "misclassified":
        return
    if not isinstance(network, MedNeXt):
        raise ValueError(
            f"the loss misclassified needs the features of a MedNeXt, and this is a {type(network).__name__}; choose another loss."
        )
    config = network.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = tuple(config.base_channels * 2**level for level in range(LEVELS + 1))
        head = Misclassified(Sites(config.in_channels, config.num_classes, widths))
    network.plug_ins[FOR_TRAINING] = head.to(next(network.parameters()).device)


def extra_loss(network: nn.Module, logits: Tensor, codes: Tensor) -> Tensor | float:
    """What plug-ins add to the loss of the forward pass before; 0 where there are none."""
    return network.plug_ins.extra_loss(logits, codes) if isinstance(network, MedNeXt) else 0.0


def is_for_training(name: str) -> bool:
    """Whether a tensor serves the training alone."""
    return name.startswith(f"{PREFIX}{FOR_TRAINING}.")


def packaged(network: nn.Module) -> nn.Module:
    """The network, now without what served its training."""
    if isinstance(network, MedNeXt) and FOR_TRAINING in network.plug_ins:
        del network.plug_ins[FOR_TRAINING]
    return network
