"""CGA: attention at the bottleneck (networks/plug_ins/class_attention.py) is learned together with the whole network."""

from torch import nn

from mednextseg.adapt.tuning.methods.everything import every_parameter
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.methods.plugged_in import with_plug_in
from mednextseg.networks.plug_ins.class_attention import ClassAttentionConfig


def _with_attention(network: nn.Module, patch_kji: tuple[int, int, int]) -> nn.Module:
    return with_plug_in(network, ClassAttentionConfig(), "class-attention")


METHOD = TuningMethod("class-attention", 1e-3, _with_attention, every_parameter)
