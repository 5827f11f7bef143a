"""Features inside a network: the decoder stages of every architecture, read by hooks that stay for all windows.

Public code for transferability removed its hooks inside the loop over windows, so that every window after the first was scored with
the first one's features.
"""

from types import TracebackType

from torch import Tensor, nn

from mednextseg.networks.generic_unet import GenericUNet
from mednextseg.networks.mednext import LEVELS, MedNeXt
from mednextseg.networks.plain_conv_unet import PlainConvUNet
from mednextseg.networks.stu_net import STUNet


def decoder_stages(network: nn.Module) -> dict[str, nn.Module]:
    """Name -> module of each decoder stage, coarsest first.

    Raises:
        ValueError: for an architecture whose stages are not known.
    """
    if isinstance(network, MedNeXt):
        names = [f"dec_block_{level}" for level in reversed(range(LEVELS))]
    elif isinstance(network, STUNet | GenericUNet):
        names = [f"conv_blocks_localization.{stage}" for stage in range(len(network.conv_blocks_localization))]
    elif isinstance(network, PlainConvUNet):
        names = [f"decoder.stages.{stage}" for stage in range(len(network.decoder.stages))]
    else:
        raise ValueError(
            f"the decoder stages of {type(network).__name__} are not known; give a MedNeXt, a STU-Net or a U-Net of nnU-Net."
        )
    return {name: network.get_submodule(name) for name in names}


class FeatureTaps:
    """While open, keeps the latest output of each module.

    Attributes:
        features: name -> (N, C, K, J, I) of the last forward pass.
        calls: name -> number of forward passes seen.
    """

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self._modules = modules
        self.features: dict[str, Tensor] = {}
        self.calls = dict.fromkeys(modules, 0)

    def __enter__(self) -> "FeatureTaps":
        self._handles = [module.register_forward_hook(self._keeper(name)) for name, module in self._modules.items()]
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()

    def _keeper(self, name: str) -> object:
        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            self.features[name] = output.detach()
            self.calls[name] += 1

        return keep
