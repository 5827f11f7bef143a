"""Auto-tune: nothing is trained (adapt/tuning/settings/); of the weights only the background's bias moves, which is the threshold."""

from torch import nn

from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.models.new_head import head_tensors


def _trained(network: nn.Module) -> frozenset[str]:
    return frozenset(head_tensors(network.config))


METHOD = TuningMethod("settings", 1e-3, lambda network, patch_kji: network, _trained, keeps_base=True)
