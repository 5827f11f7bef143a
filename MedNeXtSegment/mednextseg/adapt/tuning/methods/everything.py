"""Full fine-tuning: every weight goes on learning from where the base stopped."""

from torch import nn

from mednextseg.adapt.tuning.methods.method import TuningMethod


def every_parameter(network: nn.Module) -> frozenset[str]:
    """All of a network's."""
    return frozenset(name for name, _ in network.named_parameters())


METHOD = TuningMethod("all", 1e-3, lambda network, patch_kji: network, every_parameter)
