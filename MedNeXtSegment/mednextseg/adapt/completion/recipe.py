"""What a training of the completing network is asked to do: the JSON file of `mednextseg train --task whole-object`."""

from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.adapt.click_net.recipe import ClickNetSource, source_from
from mednextseg.adapt.recipe_file import check_share, recipe_values
from mednextseg.adapt.schedule import Schedule
from mednextseg.json_values import json_object


@dataclass(frozen=True)
class CompletionRecipe(Schedule):
    """Data, cubes, network and schedule.

    Attributes:
        id, title: of the model package that comes out.
        training: sets of volumes with objects, of the kinds "volumes" and "label_maps"; their `val` lists validate.
        shares: how often a draw comes from a real volume, a painted label map, a random shape or region.
        size: voxels along each edge of the cube that the network sees, divisible by 16.
        base_channels, kernel_size: of the MedNeXt, whose other settings are those of variant S.
        gradient_limit: of the gradient's norm.
        validation_cubes: of each set.
        kept_of_start: share of the weights that a run started from in those it packages; see ClickNetRecipe.
        threads: of the processor.
    """

    id: str
    title: str
    training: tuple[ClickNetSource, ...]
    shares: dict[str, float] = field(default_factory=lambda: {"real": 0.5, "painted": 0.2, "random": 0.3})
    size: int = 32
    base_channels: int = 16
    kernel_size: int = 3
    gradient_limit: float = 1.0
    validation_cubes: int = 40
    kept_of_start: float = 0.0
    threads: int = 1
    extra: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_share(self.kept_of_start)

    @classmethod
    def from_json(cls, path: str | Path) -> "CompletionRecipe":
        """Read a recipe; fields this version does not know are kept in `extra`.

        Raises:
            ValueError: where a required field is missing or a value is of another kind.
        """
        values = recipe_values(path, cls)
        values["training"] = tuple(source_from(json_object(raw, f"a source of {path}")) for raw in values["training"])
        return cls(**values)
