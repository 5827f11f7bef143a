"""Med-Tuning: the base stays as it is; adapters behind its stages (networks/plug_ins/adapters.py) and the class outputs are trained."""

from torch import nn

from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.methods.plugged_in import with_plug_in
from mednextseg.models.new_head import head_tensors
from mednextseg.networks.plug_ins.adapters import AdaptersConfig
from mednextseg.networks.plug_ins.plug_in import PREFIX


def _with_adapters(network: nn.Module, patch_kji: tuple[int, int, int]) -> nn.Module:
    return with_plug_in(network, AdaptersConfig(), "adapters")


def _trained(network: nn.Module) -> frozenset[str]:
    adapters = {name for name, _ in network.named_parameters() if name.startswith(f"{PREFIX}adapters.")}
    return frozenset(adapters | set(head_tensors(network.config)))


METHOD = TuningMethod("adapters", 2e-3, _with_adapters, _trained, keeps_base=True)
