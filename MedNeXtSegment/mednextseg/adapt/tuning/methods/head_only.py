"""The class outputs alone: features stay the base's, only how they are read is learned; quick, and little can be forgotten."""

from torch import nn

from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.models.new_head import head_tensors


def _trained(network: nn.Module) -> frozenset[str]:
    return frozenset(head_tensors(network.config))


METHOD = TuningMethod("head", 1e-2, lambda network, patch_kji: network, _trained)
