"""SPM: shape priors on the skips (networks/plug_ins/shape_priors.py) are learned together with the whole network."""

from torch import nn

from mednextseg.adapt.tuning.methods.everything import every_parameter
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.adapt.tuning.methods.plugged_in import with_plug_in
from mednextseg.networks.mednext import SIZE_DIVISOR
from mednextseg.networks.plug_ins.shape_priors import ShapePriorsConfig


def _with_priors(network: nn.Module, patch_kji: tuple[int, int, int]) -> nn.Module:
    return with_plug_in(network, ShapePriorsConfig(tuple(n // SIZE_DIVISOR for n in patch_kji)), "shape-priors")


METHOD = TuningMethod("shape-priors", 8e-4, _with_priors, every_parameter)
