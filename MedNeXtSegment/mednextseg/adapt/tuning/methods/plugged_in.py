"""A network with one plug-in more, for the methods that put something between its stages."""

from dataclasses import replace

from torch import nn

from mednextseg.json_values import shown
from mednextseg.models.families import build_network
from mednextseg.networks.mednext import MedNeXt
from mednextseg.networks.plug_ins import PlugInConfig


def with_plug_in(network: nn.Module, config: PlugInConfig, method: str) -> nn.Module:
    """A copy with this plug-in behind those it has; as it is where it has one of that kind already, which goes on learning.

    Raises:
        ValueError: for a network that has no places for plug-ins.
    """
    if not isinstance(network, MedNeXt):
        raise ValueError(
            f"the method {shown(method)} needs the stages of a MedNeXt, and this is a {type(network).__name__}; choose another method."
        )
    own = network.config.plug_ins
    if any(there.kind == config.kind for there in own):
        return network
    grown = build_network(replace(network.config, plug_ins=(*own, config)))
    grown.load_state_dict({**grown.state_dict(), **network.state_dict()})
    grown.deep_supervision = network.deep_supervision
    return grown
