"""What a training run is asked to do: the JSON file of `mednextseg train --recipe`."""

from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path

from mednextseg.adapt.recipe_file import recipe_values
from mednextseg.adapt.schedule import Schedule
from mednextseg.json_values import json_object, listed
from mednextseg.models.normalization import Normalization
from mednextseg.models.sides import SIDE_AXIS
from mednextseg.models.tuning_choices import LOSSES, SAMPLINGS, choice_named
from mednextseg.networks.mednext import MedNeXtConfig, variant_config

_OLD_FIELDS = {"flip_axes_kji": "mirror_axes_kji"}  # in recipes written before the field had its present name


@dataclass(frozen=True)
class MedNeXtRecipe(Schedule):
    """Network, grid, augmentation and schedule of one training run.

    Attributes:
        id, title: of the model package that comes out.
        variant, kernel_size, base_channels: the MedNeXt.
        block_counts, expansion_ratios: of its nine stages, where they are not the variant's.
        orientation: anatomical axes the network works in, letters for +I, +J, +K.
        spacing_kji_mm, patch_size_kji: grid of the network; the patch is divisible by 16.
        normalization: one for each channel.
        mirror_axes_kji: axes (0 K, 1 J, 2 I) along which a mirrored patient is as likely as the original one.
        exchanged_sides: pairs of labels that change places in a patch mirrored along I, which then runs from side to side.
        loss, sampling: names of models/tuning_choices.py: what is minimized, and where patches lie.
        adam_eps: of AdamW (the paper's trainers use 1e-4, a rate of 1e-3 and a decay of 3e-5).
    """

    id: str
    title: str
    variant: str = "S"
    kernel_size: int = 3
    base_channels: int = 32
    block_counts: tuple[int, ...] = ()
    expansion_ratios: tuple[int, ...] = ()
    orientation: str = "RAS"
    spacing_kji_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    patch_size_kji: tuple[int, int, int] = (64, 64, 64)
    normalization: tuple[Normalization, ...] = (Normalization("zscore"),)
    mirror_axes_kji: tuple[int, ...] = ()
    exchanged_sides: tuple[tuple[str, str], ...] = ()
    loss: str = "dice-ce"
    sampling: str = "usual"
    _: KW_ONLY
    batch_size: int = 2
    max_steps: int = 2000
    learning_rate: float = 1e-3
    weight_decay: float = 3e-5
    adam_eps: float = 1e-4
    warmup_steps: int = 50
    validate_every: int = 250
    extra: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        choice_named(self.loss, "the loss", LOSSES)
        choice_named(self.sampling, "the sampling", SAMPLINGS)
        if self.exchanged_sides and (SIDE_AXIS not in self.mirror_axes_kji or self.orientation[0] not in "RL"):
            raise ValueError(
                "exchanged_sides of a training recipe needs 2 among mirror_axes_kji and an orientation whose first axis runs from "
                f'side to side (such as "RAS"), got {listed(self.mirror_axes_kji) or "no axis"} and {self.orientation}.'
            )

    @classmethod
    def from_json(cls, path: str | Path) -> "MedNeXtRecipe":
        """Read a recipe; fields this version does not know are kept in `extra`.

        Raises:
            ValueError: where a required field is missing or a value is of another kind.
        """
        values = recipe_values(path, cls, renamed=_OLD_FIELDS)
        schemes = values.get("normalization", ({"scheme": "zscore"},))
        values["normalization"] = tuple(_normalization(json_object(n, f"a normalization of {path}")) for n in schemes)
        return cls(**values)

    def to_dict(self) -> dict:
        """The recipe as JSON-ready values."""
        values = asdict(self)
        return {**values.pop("extra"), **values}


def network_config(recipe: MedNeXtRecipe, in_channels: int, num_classes: int) -> MedNeXtConfig:
    """The recipe's network, with deep supervision.

    Raises:
        ValueError: for a variant that does not exist, or not nine stages.
    """
    own = {"block_counts": recipe.block_counts, "expansion_ratios": recipe.expansion_ratios}
    changes = {name: values for name, values in own.items() if values}
    config = variant_config(
        recipe.variant,
        in_channels,
        num_classes,
        kernel_size=recipe.kernel_size,
        base_channels=recipe.base_channels,
        **changes,
    )
    return replace(config, deep_supervision=True)


def _normalization(raw: dict) -> Normalization:
    try:
        return Normalization(**raw)
    except TypeError as error:  # a field that it does not have, or none at all
        raise ValueError(f"a normalization of the training recipe has another form: {error}.") from error
