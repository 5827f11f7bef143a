"""What can stand between the stages of a network, one file a kind; a network's configuration lists which do."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from mednextseg.json_values import json_list, json_object, listed, one_of, whole_number
from mednextseg.networks.plug_ins.adapters import Adapters, AdaptersConfig
from mednextseg.networks.plug_ins.class_attention import ClassAttention, ClassAttentionConfig
from mednextseg.networks.plug_ins.plug_in import PlugIn, PlugIns, Sites
from mednextseg.networks.plug_ins.shape_priors import ShapePriors, ShapePriorsConfig

PlugInConfig = AdaptersConfig | ShapePriorsConfig | ClassAttentionConfig
_KINDS: dict[str, tuple[type, type[PlugIn]]] = {
    "adapters": (AdaptersConfig, Adapters),
    "shape_priors": (ShapePriorsConfig, ShapePriors),
    "class_attention": (ClassAttentionConfig, ClassAttention),
}


def build_plug_ins(configs: Sequence[PlugInConfig], sites: Sites) -> PlugIns:
    """Those of a network, randomly initialized, in the order in which they act."""
    return PlugIns({config.kind: _KINDS[config.kind][1](config, sites) for config in configs})


def plug_in_configs(raw: object) -> tuple[PlugInConfig, ...]:
    """From a card's JSON values.

    Raises:
        ValueError: for a kind or a field that is not known, or a kind that comes twice.
    """
    configs = [_config(json_object(entry, "an entry of plug_ins")) for entry in json_list(raw, "plug_ins")]
    if len({config.kind for config in configs}) < len(configs):
        raise ValueError(f"plug_ins lists a kind twice: {listed(config.kind for config in configs)}; each may be there once.")
    return tuple(configs)


def _config(raw: Mapping[str, Any]) -> PlugInConfig:
    config_class = _KINDS[one_of(raw.get("kind"), "the kind of a plug-in", _KINDS)][0]
    known = [field.name for field in fields(config_class)]
    if unknown := [name for name in raw if name not in known]:
        raise ValueError(f"a plug-in has no field {listed(unknown)}; this kind has: {listed(known)}.")
    return config_class(
        **{
            name: tuple(whole_number(n, name, 1) for n in value) if isinstance(value, list | tuple) else value
            for name, value in raw.items()
        }
    )
