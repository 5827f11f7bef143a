"""Networks of MONAI (monai.networks.nets) by name and arguments: an allow-list, so that a file names data and never code.

MONAI is imported only when such a network is built. What it computes and how its tensors are named is MONAI's own.
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

MONAI_NETWORKS = ("AttentionUnet", "BasicUNet", "DynUNet", "SegResNet", "SegResNetDS", "SwinUNETR", "UNet", "UNETR")
# Other names that MONAI has for them.
_ALIASES = {"Unet": "UNet", "BasicUnet": "BasicUNet", "Basicunet": "BasicUNet", "DynUnet": "DynUNet", "Dynunet": "DynUNet"}
# Arguments of earlier versions that no longer say anything, or say it under another name.
_FORMER_NAMES = {"dimensions": "spatial_dims"}
_WITHOUT_MEANING = {"SwinUNETR": ("img_size",), "SegResNet": ("norm_name",)}
_MOST_VALUES, _LARGEST_NUMBER = 500, 100_000
# What constructors raise for arguments that make no network.
_WRONG_ARGUMENTS = (
    TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError, ArithmeticError, AssertionError,
)  # fmt: skip


class NetworkArguments(dict):
    """Arguments of a constructor as JSON values; hashable, as parts of a configuration are. Not to be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


@dataclass(frozen=True)
class MonaiConfig:
    """Which network of MONAI, with what; from `monai_config`.

    Attributes:
        network: the class of monai.networks.nets.
        arguments: of its constructor.
        in_channels, num_classes, dims: read off the arguments and the constructor's own values.
    """

    network: str
    arguments: NetworkArguments
    in_channels: int
    num_classes: int
    dims: int


def monai_class_name(target: str) -> str | None:
    """The class that a configuration's `_target_` names ("UNet", "monai.networks.nets.UNet"); None for one that is not on the list."""
    module, _, name = target.rpartition(".")
    if module and module != "monai.networks.nets" and not module.startswith("monai.networks.nets."):
        return None
    name = _ALIASES.get(name, name)
    return name if name in MONAI_NETWORKS else None


def monai_config(network: str, arguments: Mapping[str, Any]) -> MonaiConfig:
    """Check a network's name and arguments.

    Raises:
        ValueError: where MONAI is not installed; for another network, an argument that its constructor does not have, or a value that is no
            plain data.
    """
    if network not in MONAI_NETWORKS:
        raise ValueError(f"the network {network!r} is none of MONAI's that can be run: {', '.join(MONAI_NETWORKS)}.")
    signature = inspect.signature(_class(network).__init__).parameters
    dropped = _WITHOUT_MEANING.get(network, ())
    given = {
        _FORMER_NAMES.get(name, name): value for name, value in arguments.items() if name in signature or name not in dropped
    }
    unknown = [name for name in given if name not in signature or name == "self"]
    if unknown:
        raise ValueError(
            f"the installed version of MONAI has no argument {unknown[0]!r} for {network}; install the one it was made with."
        )
    _check_plain(given, network, [0])
    values = {name: given.get(name, parameter.default) for name, parameter in signature.items()}
    counts = []
    for name, usual in (("in_channels", None), ("out_channels", None), ("spatial_dims", 3)):
        value = usual if values.get(name) is inspect.Parameter.empty else values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_NUMBER:
            raise ValueError(f"the network {network} needs a whole number for {name}, got {value!r}.")
        counts.append(value)
    return MonaiConfig(network, NetworkArguments(given), *counts)


def build_monai_network(config: MonaiConfig) -> nn.Module:
    """The network, randomly initialized, with `config` as an attribute; shapes only where the device is "meta".

    Raises:
        ValueError: where MONAI is not installed, or its arguments make no network.
    """
    try:
        with _NumbersOnCpu():
            network = _class(config.network)(**json.loads(json.dumps(config.arguments)))
    except _WRONG_ARGUMENTS as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise ValueError(f"MONAI makes no {config.network} of its arguments ({type(error).__name__}: {reason}).") from error
    network.config = config
    return network


class _NumbersOnCpu(TorchFunctionMode):
    """Constructors of Swin transformers read numbers out of a linspace, which shapes alone do not have."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace and kwargs.get("device") is None:
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def _class(network: str) -> type[nn.Module]:
    try:
        return getattr(import_module("monai.networks.nets"), network)
    except ImportError as error:
        raise ValueError(
            f"this model's network is MONAI's {network}, and the package monai cannot be imported ({error}); install it with pip install "
            'monai einops (in Slicer, in the Python console: slicer.util.pip_install("monai einops")).'
        ) from error


def _check_plain(value: object, network: str, count: list[int]) -> None:
    """Numbers, texts and lists of them, of a size that a network has."""
    count[0] += 1
    if count[0] > _MOST_VALUES:
        raise ValueError(f"the network {network} has more than {_MOST_VALUES} arguments; its description is damaged.")
    if isinstance(value, Mapping):
        for part in (*value.keys(), *value.values()):
            _check_plain(part, network, count)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_plain(part, network, count)
    elif isinstance(value, str):
        if value.startswith(("$", "@", "%")):
            raise ValueError(f"the network {network} has the argument {value!r}; expressions are not evaluated.")
    elif value is not None and (not isinstance(value, bool | int | float) or not abs(value) <= _LARGEST_NUMBER):
        raise ValueError(f"the network {network} has the argument {value!r}, which is no plain number of a usual size.")
