"""MONAI's transforms before the network -> steps of preparation; what has no equal here is refused by its name.

MONAI's tensors have the axes of an image in the order I, J, K where ours have K, J, I: the first axis of its network is our K.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mednextseg.json_values import shown
from mednextseg.models.importers.monai.config import is_unreadable, transform_name
from mednextseg.models.preparation import (
    CropForeground,
    Resample,
    ScaleMinMax,
    ScalePercentiles,
    ScaleRange,
    Standardize,
    Step,
)

# Transforms that only read files, or change where or in which type of array the numbers are.
_WITHOUT_EFFECT = (
    "LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "EnsureType", "ToTensor", "CastToType", "ToDevice", "SelectItems",
    "DeleteItems", "FromMetaTensor", "Identity", "SimulateDelay",
)  # fmt: skip
_INTERPOLATION = {
    "bilinear": "linear",
    "linear": "linear",
    "trilinear": "linear",
    "nearest": "nearest",
    0: "nearest",
    1: "linear",
}
_SINGLE = ("float", "float32")  # "$torch.float32"
_ALL_SPACINGS = (0.0, 1e6)
# Arguments that change nothing about a single image in float32.
_IGNORED = ("_target_", "keys", "allow_missing_keys", "lazy", "dtype", "image_only", "meta_keys", "meta_key_postfix", "start_coord_key",
            "end_coord_key", "ensure_same_shape", "recompute_affine")  # fmt: skip


@dataclass
class FoundPreparation:
    """What the transforms do: the axes they turn to (as card letters; None for the stored ones), and the steps."""

    orientation: str | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def spacing(self) -> list[float] | None:
        """Of the network's grid; None where images keep their own, along one axis or along all."""
        step = next((step for step in self.steps if isinstance(step, Resample)), None)
        if step is None or any(pair == _ALL_SPACINGS for pair in step.kept_kji_mm or ()):
            return None
        return list(step.spacing_kji_mm)

    def along(self, axes_kji: Sequence[int]) -> "FoundPreparation":
        """The same for a network whose K, J and I are these axes of MONAI's images."""
        letters_kji = None if self.orientation is None else [self.orientation[::-1][axis] for axis in axes_kji]
        orientation = None if letters_kji is None else "".join(letters_kji)[::-1]
        return FoundPreparation(orientation, [_turned(step, axes_kji) for step in self.steps])


def _turned(step: Step, axes_kji: Sequence[int]) -> Step:
    """A step with what it says of axes in another order."""
    names = [name for name in ("spacing_kji_mm", "kept_kji_mm", "margin_kji") if getattr(step, name, None) is not None]
    return replace(step, **{name: tuple(getattr(step, name)[axis] for axis in axes_kji) for name in names})


def read_preparation(transforms: list[dict[str, Any]]) -> FoundPreparation:
    """The steps of a list of transforms.

    Raises:
        ValueError: for a transform or argument that is not known, or an order that cannot be kept.
    """
    found, image_keys = FoundPreparation(), _image_keys(transforms)
    for arguments in transforms:
        name, keys = transform_name(arguments), _keys(arguments.get("keys"))
        if name == "ConcatItems":
            image_keys = _concatenated(arguments, image_keys, found)
            continue
        if keys and not keys & image_keys:
            continue  # labels and the like
        if keys and not image_keys <= keys and name not in _WITHOUT_EFFECT:
            raise ValueError(f"the bundle prepares some of its images with {name} and others without; that cannot be repeated.")
        _add(found, name, arguments, image_keys)
    return found


def _add(found: FoundPreparation, name: str, arguments: dict[str, Any], image_keys: set[str]) -> None:
    if name in _WITHOUT_EFFECT:
        _check_float(name, arguments)
    elif name == "Orientation":
        if any(isinstance(step, Resample) for step in found.steps):
            raise ValueError(
                "the bundle turns images (Orientationd) after resampling them (Spacingd), which cannot be repeated."
            )
        if found.orientation is not None:
            raise ValueError("the bundle turns images twice (Orientationd), which cannot be repeated.")
        given = _Arguments(name, arguments, {"axcodes": None, "as_closest_canonical": False, "labels": None})
        given.must_be("labels", None, [["L", "R"], ["P", "A"], ["I", "S"]])
        letters = "RAS" if given["as_closest_canonical"] is True else given["axcodes"]
        if not isinstance(letters, str | list) or len(letters) != 3:
            raise ValueError(
                f"the bundle's Orientationd has the axcodes {shown(letters)}; three letters such as RAS are needed."
            )
        found.orientation = "".join(str(letter) for letter in letters)[::-1]
    elif name in _STEPS:
        found.steps.append(_STEPS[name](name, arguments, image_keys))
    else:
        raise ValueError(
            f"the bundle prepares images with {arguments['_target_']}, which is not known, so its results could not be repeated."
        )


class _Arguments:
    """A transform's arguments over their usual values; one that is not known here is refused by its name."""

    def __init__(self, name: str, arguments: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
        self.name = name
        given = {key: value for key, value in arguments.items() if key not in _IGNORED}
        for key, value in given.items():
            if key not in usual:
                raise ValueError(f"the bundle's {name} has the argument {shown(key)} = {shown(value)}, which is not known.")
            if is_unreadable(value):
                raise ValueError(f"the bundle's {name} has {key} = {shown(value)}; expressions are not evaluated.")
        self._values = {**usual, **given}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def must_be(self, key: str, *allowed: Any) -> None:
        if self._values[key] not in allowed:
            raise ValueError(f"the bundle's {self.name} has {key} = {shown(self._values[key])}, which has no equal here.")


def _resample(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    usual = {"pixdim": None, "mode": "bilinear", "padding_mode": "border", "align_corners": False, "diagonal": False}
    given = _Arguments(name, arguments, usual | {"scale_extent": False, "min_pixdim": None, "max_pixdim": None})
    for key in ("align_corners", "diagonal", "scale_extent"):
        given.must_be(key, False, [False], None)
    given.must_be("padding_mode", "border", ["border"])
    mode = _of_image(given["mode"], arguments, image_keys)
    if isinstance(mode, bool) or mode not in _INTERPOLATION:
        raise ValueError(f"the bundle resamples with the mode {shown(mode)}; only bilinear and nearest have an equal here.")
    pixdim = _three(given["pixdim"], "Spacingd's pixdim")
    # What is not positive stands for the image's own.
    always = [p <= 0 for p in pixdim]
    pixdim = [1.0 if own else p for own, p in zip(always, pixdim, strict=True)]
    kept = tuple(_ALL_SPACINGS if own else (p, p) for own, p in zip(always, pixdim, strict=True)) if any(always) else None
    if given["min_pixdim"] is not None or given["max_pixdim"] is not None:
        low = pixdim if given["min_pixdim"] is None else _three(given["min_pixdim"], "Spacingd's min_pixdim")
        high = pixdim if given["max_pixdim"] is None else _three(given["max_pixdim"], "Spacingd's max_pixdim")
        ranges = [(min(a, p), max(b, p)) for a, b, p in zip(low, high, pixdim, strict=True)]
        kept = tuple(_ALL_SPACINGS if own else pair for own, pair in zip(always, ranges, strict=True))
    return Resample(tuple(pixdim), _INTERPOLATION[mode], kept, str(arguments.get("dtype")).rpartition(".")[2] in _SINGLE)


def _crop(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    usual = {"source_key": None, "select_fn": None, "channel_indices": None, "margin": 0, "allow_smaller": None}
    given = _Arguments(name, arguments, usual | {"k_divisible": 1, "mode": "constant"})
    given.must_be("select_fn", None)
    given.must_be("k_divisible", 1, [1, 1, 1])
    if given["source_key"] not in image_keys:
        raise ValueError(
            f"the bundle crops to the foreground of {shown(given['source_key'])}, which is not the image it segments."
        )
    margin = given["margin"] if isinstance(given["margin"], list) else [given["margin"]] * 3
    if any(margin) and given["allow_smaller"] is not True:
        raise ValueError(
            "the bundle crops with a margin that may reach beyond the image (allow_smaller is not true); that has no equal here."
        )
    channels = given["channel_indices"]
    channels = [channels] if isinstance(channels, int) and not isinstance(channels, bool) else channels
    return CropForeground(tuple(margin), "image", channels)


def _range(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    given = _Arguments(name, arguments, {"a_min": None, "a_max": None, "b_min": None, "b_max": None, "clip": False})
    a_min, a_max, b_min, b_max = _numbers([given[n] for n in ("a_min", "a_max", "b_min", "b_max")], name)
    return ScaleRange(a_min, a_max, b_min, b_max, given["clip"])


def _percentiles(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    usual = {
        "lower": None,
        "upper": None,
        "b_min": None,
        "b_max": None,
        "clip": False,
        "relative": False,
        "channel_wise": False,
    }
    given = _Arguments(name, arguments, usual)
    numbers = _numbers([given[n] for n in ("lower", "upper", "b_min", "b_max")], name)
    return ScalePercentiles(*numbers, given["clip"], given["relative"], given["channel_wise"])


def _min_max(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    given = _Arguments(name, arguments, {"minv": 0.0, "maxv": 1.0, "factor": None, "channel_wise": False})
    given.must_be("factor", None)
    low, high = _numbers([given["minv"], given["maxv"]], name)
    return ScaleMinMax(low, high, given["channel_wise"])


def _standardize(name: str, arguments: dict[str, Any], image_keys: set[str]) -> Step:
    given = _Arguments(name, arguments, {"subtrahend": None, "divisor": None, "nonzero": False, "channel_wise": False})
    for key in ("subtrahend", "divisor"):
        if given[key] is not None:
            _numbers([given[key]], f"NormalizeIntensityd's {key}")
    return Standardize(given["nonzero"], given["channel_wise"], given["subtrahend"], given["divisor"])


_STEPS: dict[str, Callable[[str, dict[str, Any], set[str]], Step]] = {
    "Spacing": _resample,
    "CropForeground": _crop,
    "ScaleIntensityRange": _range,
    "ScaleIntensityRangePercentiles": _percentiles,
    "ScaleIntensity": _min_max,
    "NormalizeIntensity": _standardize,
}


def _keys(value: object) -> set[str]:
    return {str(key) for key in value} if isinstance(value, list | tuple) else {str(value)} if value is not None else set()


def _image_keys(transforms: list[dict[str, Any]]) -> set[str]:
    """What is loaded as images: everything that is no label."""
    loaded = next((t for t in transforms if transform_name(t) == "LoadImage"), None) or next(
        (t for t in transforms if "keys" in t), {}
    )
    keys = _keys(loaded.get("keys", "image"))
    return {key for key in keys if key not in ("label", "mask", "seg", "pred")} or keys


def _concatenated(arguments: dict[str, Any], image_keys: set[str], found: FoundPreparation) -> set[str]:
    keys = arguments.get("keys")
    if not isinstance(keys, list) or set(keys) != image_keys or arguments.get("dim", 0) != 0:
        raise ValueError("the bundle joins other items than the images it loads (ConcatItemsd), which cannot be repeated.")
    if any(getattr(step, "per_channel", None) is False for step in found.steps):
        raise ValueError(
            "the bundle scales its images one by one before it joins them; only steps of MONAI that are channel_wise can be."
        )
    return {str(arguments.get("name"))}


def _of_image(value: object, arguments: Mapping[str, Any], image_keys: set[str]) -> Any:
    """An argument that may be given for each key: the images' own."""
    keys = arguments.get("keys")
    if not isinstance(value, list):
        return value
    if not isinstance(keys, list) or len(value) != len(keys):
        return value[0] if len(value) == 1 or not isinstance(keys, list) else None
    own = {mode for key, mode in zip(keys, value, strict=True) if key in image_keys}
    return own.pop() if len(own) == 1 else None


def _check_float(name: str, arguments: Mapping[str, Any]) -> None:
    if name in ("EnsureType", "CastToType") and "int" in str(arguments.get("dtype", "")):
        raise ValueError(f"the bundle's {name}d makes whole numbers of intensities, which has no equal here.")


def _three(value: object, name: str) -> list[float]:
    numbers = _numbers(value if isinstance(value, list) else [value] * 3, name)
    if len(numbers) != 3:
        raise ValueError(f"{name} is {shown(value)} where three numbers are needed.")
    return numbers


def _numbers(values: list, name: str) -> list[float]:
    if any(isinstance(n, bool) or not isinstance(n, int | float) for n in values):
        raise ValueError(f"{name} is {shown(values)} where numbers are needed; expressions are not evaluated.")
    return [float(n) for n in values]
