"""The network and the windows of a MONAI model, as a configuration describes them."""

from collections.abc import Mapping
from typing import Any

from mednextseg.json_values import listed, shown
from mednextseg.models.importers.monai.config import arguments_of, is_unreadable
from mednextseg.networks.monai_network import MONAI_NETWORKS, monai_class_name

_WINDOWS = ("SlidingWindowInferer", "SlidingWindowInfererAdapt")
_SLICES = "SliceInferer"
# Of speed and memory alone.
_WITHOUT_EFFECT = (
    "_target_", "sw_batch_size", "device", "sw_device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps", "buffer_dim",
)  # fmt: skip
_PADDING = {"constant": "zero", "replicate": "edge", "edge": "edge"}
_WEIGHTS = {"constant": "constant", "gaussian": "gaussian_centered"}


def read_network(entry: object) -> dict[str, Any]:
    """What a card's architecture needs: empty where the tensors tell it (MedNeXt, or no description at all).

    Raises:
        ValueError: for a network that is not on the list, or an argument that only a program could give.
    """
    if entry is None:
        return {}
    arguments = arguments_of(entry, "network")
    target = arguments.pop("_target_")
    if target.rpartition(".")[2].startswith("MedNeXt"):
        return {}
    name = monai_class_name(target)
    if name is None:
        raise ValueError(
            f"the bundle's network is {shown(target)}, which is not known; known ones are MONAI's {listed(MONAI_NETWORKS)}."
        )
    for argument, value in arguments.items():
        if is_unreadable(value):
            raise ValueError(f"the bundle's {name} has {argument} = {shown(value)}; expressions are not evaluated.")
    return {"network": name, "arguments": arguments}


def window_fields(entry: object) -> dict[str, Any]:
    """The card's fields about windows, from a sliding window inferer.

    Raises:
        ValueError: for another inferer, or settings without an equal here.
    """
    arguments = arguments_of(entry, "inferer")
    name = arguments["_target_"].rpartition(".")[2]
    if name not in (*_WINDOWS, _SLICES):
        raise ValueError(
            f"the bundle's inferer is {shown(arguments['_target_'])}, which is not known; known ones: {listed((*_WINDOWS, _SLICES))}."
        )
    by_slices = name == _SLICES
    known = ("spatial_dim",) if by_slices else ()
    known += ("roi_size", "overlap", "mode", "padding_mode", "cval", "sigma_scale", "with_coord")
    if unknown := [key for key in arguments if key not in (*known, *_WITHOUT_EFFECT)]:
        raise ValueError(f"the bundle's inferer has the argument {shown(unknown[0])}, which is not known.")
    for key, usual in (("cval", 0), ("sigma_scale", 0.125), ("with_coord", False)):
        if arguments.get(key, usual) != usual:
            raise ValueError(f"the bundle's inferer has {key} = {shown(arguments[key])}, which has no equal here.")
    mode, padding = arguments.get("mode", "constant"), arguments.get("padding_mode", "constant")
    for key, value, allowed in (("mode", mode, _WEIGHTS), ("padding_mode", padding, _PADDING)):
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"the bundle's inferer has {key} = {shown(value)}, which has no equal here.")
    return {
        "patch_size_kji": [1, *_sizes(arguments.get("roi_size"), 2)] if by_slices else _sizes(arguments.get("roi_size"), 3),
        "slice_by_slice": by_slices,
        "overlap": _overlap(arguments),
        "window_layout": "dense",
        "window_weights": _WEIGHTS[mode],
        "padding": _PADDING[padding],
    }


def axes_kji(entry: object) -> tuple[int, int, int]:
    """Which axes of MONAI's images are our K, J and I: in their order, but a network of slices looks across K."""
    arguments = arguments_of(entry, "inferer")
    if arguments["_target_"].rpartition(".")[2] != _SLICES:
        return 0, 1, 2
    across = arguments.get("spatial_dim", 0)
    if isinstance(across, bool) or across not in (0, 1, 2):
        raise ValueError(f"the inferer's spatial_dim is {shown(across)}; an axis of the image, 0, 1 or 2, is needed.")
    along_rows, along_columns = (axis for axis in range(3) if axis != across)
    return across, along_rows, along_columns


def _sizes(value: object, count: int) -> list[int]:
    sizes = value if isinstance(value, list) else [value] * count
    if any(isinstance(n, bool) or not isinstance(n, int | float) or n != int(n) or n < 1 for n in sizes):
        raise ValueError(
            f"the inferer's roi_size is {shown(value)} where whole numbers from 1 on are needed; expressions are not evaluated."
        )
    if len(sizes) != count:
        raise ValueError(
            f"the inferer's roi_size is {shown(value)}; a network of volumes needs three numbers, and one of slices two and MONAI's "
            f"{_SLICES}."
        )
    return [int(n) for n in sizes]


def _overlap(arguments: Mapping[str, Any]) -> float:
    value = arguments.get("overlap", 0.25)
    values = value if isinstance(value, list) and value else [value]
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in values) or len(set(values)) != 1:
        raise ValueError(f"the inferer's overlap is {shown(value)} where one number is needed; expressions are not evaluated.")
    return float(values[0])
