"""UpKern: kernels grow by two voxels and everything goes on learning, so that a trained MedNeXt sees more of its surroundings.

The one method whose first answers are not the base's: the enlarged kernels are interpolated (networks/upkern.py). The result is as large
as its kernels, and slower.
"""

from dataclasses import replace

from torch import nn

from mednextseg.adapt.tuning.methods.everything import every_parameter
from mednextseg.adapt.tuning.methods.method import TuningMethod
from mednextseg.models.families import build_network
from mednextseg.networks.mednext import MedNeXt
from mednextseg.networks.upkern import upkern

_GROWTH = 2


def _with_larger_kernels(network: nn.Module, patch_kji: tuple[int, int, int]) -> nn.Module:
    if not isinstance(network, MedNeXt):
        raise ValueError(
            f"UpKern enlarges the kernels of a MedNeXt, and this is a {type(network).__name__}; choose another method."
        )
    large = build_network(replace(network.config, kernel_size=network.config.kernel_size + _GROWTH))
    large.load_state_dict(upkern(network.state_dict(), large))
    large.deep_supervision = network.deep_supervision
    return large


METHOD = TuningMethod("upkern", 5e-4, _with_larger_kernels, every_parameter)
