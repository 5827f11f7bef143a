"""The same network with other labels: every tensor but those of the class outputs is kept, and known classes keep their outputs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from mednextseg.models.families import NetworkConfig, build_network
from mednextseg.networks.monai_network import MonaiConfig


def head_tensors(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Names of the tensors that the number of classes decides on (at every depth, and in plug-ins), and their axes of classes.

    Raises:
        ValueError: for a network of MONAI, whose outputs cannot be told from its arguments.
    """
    if isinstance(config, MonaiConfig):
        raise ValueError(f"the {config.network} is a network of MONAI, whose labels cannot be changed; choose another model.")
    return dict(_axes_of_classes(config))


def with_classes(network: nn.Module, sources: Sequence[int | None]) -> nn.Module:
    """A copy of a network whose class n is the class sources[n] of the network, or a new one, randomly initialized, for None.

    Args:
        network: of a family with `config`; not changed.
        sources: one for each class of the result, background first.
    Raises:
        ValueError: as `head_tensors`.
    """
    axes = head_tensors(network.config)
    result = build_network(replace(network.config, num_classes=len(sources)))
    known = [n for n, source in enumerate(sources) if source is not None]
    taken = [source for source in sources if source is not None]
    with torch.no_grad():
        old = network.state_dict()
        for name, tensor in result.state_dict().items():
            if name in axes:
                _copy_known(tensor, old[name], axes[name], torch.tensor(known), torch.tensor(taken))
            else:
                tensor.copy_(old[name])
    if hasattr(network, "deep_supervision"):
        result.deep_supervision = network.deep_supervision
    return result


@lru_cache(maxsize=8)  # building two networks takes as long as a step of a small one, and an adaptation asks often
def _axes_of_classes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        own = build_network(config).state_dict()
        wider = build_network(replace(config, num_classes=config.num_classes + 1)).state_dict()
    return {name: _differing_axes(own[name], wider[name]) for name in own if own[name].shape != wider[name].shape}


def _copy_known(tensor: Tensor, old: Tensor, axes: tuple[int, ...], known: Tensor, taken: Tensor) -> None:
    """tensor[known] = old[taken] along each of the axes; the rest of it stays."""
    for axis in axes:
        old = old.index_select(axis, taken)
    place = [torch.arange(n) for n in tensor.shape]
    for axis in axes:
        place[axis] = known
    tensor[torch.meshgrid(*place, indexing="ij")] = old


def _differing_axes(own: Tensor, wider: Tensor) -> tuple[int, ...]:
    return tuple(axis for axis, (a, b) in enumerate(zip(own.shape, wider.shape, strict=True)) if a != b)
