"""How a model's own program prepares images, step by step in its order: for models that must be fed exactly so (MONAI).

Standard library only. A card lists steps as JSON objects whose "step" names the kind. Axes are the network's: K, J, I.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mednextseg.json_values import json_list, json_object, listed, number, one_of, whole_number, yes_or_no


@dataclass(frozen=True)
class Resample:
    """Onto another spacing, from the center of the first voxel on: round((n - 1) * spacing / new) + 1 voxels.

    Attributes:
        spacing_kji_mm: of the network's grid.
        interpolation: "linear" or "nearest"; beyond the outer centers the edge voxel goes on.
        kept_kji_mm: for each axis the range of spacings that are left as they are; None for none.
        single_precision: whether the program counts positions in float32, which decides about those half-way between two voxels.
    """

    spacing_kji_mm: tuple[float, float, float]
    interpolation: str = "linear"
    kept_kji_mm: tuple[tuple[float, float], ...] | None = None
    single_precision: bool = False
    step: str = "resample"

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing_kji_mm", _three(self.spacing_kji_mm, "spacing_kji_mm of resampling"))
        if min(self.spacing_kji_mm) <= 0:
            raise ValueError(f"resampling needs positive spacings, got {self.spacing_kji_mm}.")
        one_of(self.interpolation, "interpolation of resampling", ("linear", "nearest"))
        yes_or_no(self.single_precision, "single_precision of resampling")
        if self.kept_kji_mm is not None:
            what = "kept_kji_mm of resampling"
            pairs = tuple(tuple(number(n, what) for n in json_list(pair, what)) for pair in json_list(self.kept_kji_mm, what))
            if [len(pair) for pair in pairs] != [2, 2, 2]:
                raise ValueError(f"{what} must be a lowest and a highest spacing for each axis, got {pairs}.")
            object.__setattr__(self, "kept_kji_mm", pairs)


@dataclass(frozen=True)
class CropForeground:
    """The box around all voxels above zero, with a margin but within the image; the whole image where there are none.

    Attributes:
        of: "image" as the steps before have left it, or "volume": as it came, which only a crop before resampling can mean.
        channels: to look at; None for all.
    """

    margin_kji: tuple[int, int, int] = (0, 0, 0)
    of: str = "image"
    channels: tuple[int, ...] | None = None
    step: str = "crop_foreground"

    def __post_init__(self) -> None:
        margin = json_list(self.margin_kji, "margin_kji of cropping")
        if len(margin) != 3:
            raise ValueError(f"margin_kji of cropping must be three numbers, got {margin}.")
        object.__setattr__(self, "margin_kji", tuple(whole_number(n, "margin_kji of cropping", 0) for n in margin))
        one_of(self.of, "the foreground of cropping", ("image", "volume"))
        if self.channels is not None:
            channels = json_list(self.channels, "channels of cropping")
            object.__setattr__(self, "channels", tuple(whole_number(n, "a channel of cropping", 0) for n in channels))


@dataclass(frozen=True)
class ScaleRange:
    """Map the intensities [a_min, a_max] to [b_min, b_max]; `clip` keeps the result in there."""

    a_min: float
    a_max: float
    b_min: float = 0.0
    b_max: float = 1.0
    clip: bool = False
    step: str = "scale_range"

    def __post_init__(self) -> None:
        _numbers(self, "a_min", "a_max", "b_min", "b_max")
        yes_or_no(self.clip, "clip of scaling")


@dataclass(frozen=True)
class ScalePercentiles:
    """Map the image's percentiles `lower` and `upper` to [b_min, b_max], or to the same percentiles of that range if `relative`."""

    lower: float
    upper: float
    b_min: float = 0.0
    b_max: float = 1.0
    clip: bool = False
    relative: bool = False
    per_channel: bool = False
    step: str = "scale_percentiles"

    def __post_init__(self) -> None:
        _numbers(self, "lower", "upper", "b_min", "b_max")
        if not 0 <= self.lower <= self.upper <= 100:
            raise ValueError(f"percentiles must be from 0 to 100 and in order, got {self.lower:g} and {self.upper:g}.")
        for name in ("clip", "relative", "per_channel"):
            yes_or_no(getattr(self, name), f"{name} of scaling")


@dataclass(frozen=True)
class ScaleMinMax:
    """Map the image's own range to [low, high]."""

    low: float = 0.0
    high: float = 1.0
    per_channel: bool = False
    step: str = "scale_min_max"

    def __post_init__(self) -> None:
        _numbers(self, "low", "high")
        yes_or_no(self.per_channel, "per_channel of scaling")


@dataclass(frozen=True)
class Standardize:
    """Subtract the mean and divide by the deviation, or by numbers given; `nonzero_only` counts and changes no voxel that is zero."""

    nonzero_only: bool = False
    per_channel: bool = False
    subtrahend: float | None = None
    divisor: float | None = None
    step: str = "standardize"

    def __post_init__(self) -> None:
        for name in ("nonzero_only", "per_channel"):
            yes_or_no(getattr(self, name), f"{name} of standardizing")
        for name in ("subtrahend", "divisor"):
            if getattr(self, name) is not None:
                number(getattr(self, name), f"{name} of standardizing")


@dataclass(frozen=True)
class Squash:
    """A curve through all intensities: "sigmoid", or "tanh_3" for 3 tanh(x / 3)."""

    curve: str
    step: str = "squash"

    def __post_init__(self) -> None:
        one_of(self.curve, "the curve of intensities", ("sigmoid", "tanh_3"))


Step = Resample | CropForeground | ScaleRange | ScalePercentiles | ScaleMinMax | Standardize | Squash
_KINDS: dict[str, type] = {
    kind.step: kind for kind in (Resample, CropForeground, ScaleRange, ScalePercentiles, ScaleMinMax, Standardize, Squash)
}


def steps_from(raw: object) -> tuple[Step, ...]:
    """The steps of a card's JSON values, checked one by one and together.

    Raises:
        ValueError: for a kind or field that is not known, or an order that cannot be undone.
    """
    steps = tuple(_step(json_object(entry, "a step of preparation")) for entry in json_list(raw, "preparation"))
    kinds = [step.step for step in steps]
    for kind in ("resample", "crop_foreground"):
        if kinds.count(kind) > 1:
            raise ValueError(f"images can be prepared with one {kind} at the most, got {kinds.count(kind)}.")
    for index, step in enumerate(steps):
        if isinstance(step, CropForeground) and step.of == "volume" and "resample" in kinds[:index]:
            raise ValueError("a crop to the foreground of the volume as it came has to be before resampling.")
    return steps


def _step(raw: Mapping[str, Any]) -> Step:
    kind = one_of(raw.get("step"), "the kind of a step of preparation", tuple(_KINDS))
    known = set(_KINDS[kind].__dataclass_fields__)
    if unknown := sorted(set(raw) - known):
        raise ValueError(f"the step {kind} has no field {listed(unknown)}; it has: {listed(sorted(known))}.")
    return _KINDS[kind](**raw)


def _three(values: object, what: str) -> tuple[float, float, float]:
    numbers = tuple(number(n, what) for n in json_list(values, what))
    if len(numbers) != 3:
        raise ValueError(f"{what} must be three numbers, got {list(numbers)}.")
    return numbers


def _numbers(step: object, *names: str) -> None:
    for name in names:
        number(getattr(step, name), f"{name} of {step.step}")
