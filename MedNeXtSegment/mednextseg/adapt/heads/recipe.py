"""What a training on heads is asked to do: the JSON file of `mednextseg train --task heads`."""

from dataclasses import dataclass, field
from pathlib import Path

from mednextseg.adapt.heads.sampling import PatchGrid
from mednextseg.adapt.recipe_file import recipe_values
from mednextseg.adapt.schedule import Schedule


@dataclass(frozen=True)
class HeadRecipe(Schedule):
    """Data, grid and network of one stage and its schedule; a later stage starts from the weights of an earlier one.

    Attributes:
        id, title: of the model package that comes out.
        real_heads: folder of images/, labels/ (MUSE values) and split.json; label_maps: folder of FreeSurfer label maps. Both relative to
            the data folder of the command.
        validation_maps: how many label maps, the last by name, are kept for validation.
        synthetic_share: of the steps that use a synthetic head.
        spacing_mm, patch_size_kji: grid of the network, in LPS order; the patch is divisible by 16.
        base_channels, kernel_size: of the MedNeXt, whose other settings are those of variant S.
        gradient_limit: of the gradient's norm.
        threads: of the processor; one a process is best where other programs compute.
        workers: processes that draw heads ahead of the training, for a graphics card; 0 draws in the training's own process.
    """

    id: str
    title: str
    real_heads: str = "ixi_brain"
    label_maps: str = "synthseg_labels"
    validation_maps: int = 3
    synthetic_share: float = 0.3
    spacing_mm: float = 4.0
    patch_size_kji: tuple[int, int, int] = (48, 48, 48)
    base_channels: int = 16
    kernel_size: int = 3
    gradient_limit: float = 1.0
    threads: int = 1
    workers: int = 0
    extra: dict = field(default_factory=dict)

    @classmethod
    def from_json(cls, path: str | Path) -> "HeadRecipe":
        """Read a recipe; fields this version does not know are kept in `extra`.

        Raises:
            ValueError: where a required field is missing or a value is of another kind.
        """
        return cls(**recipe_values(path, cls))

    @property
    def grid(self) -> PatchGrid:
        return PatchGrid(self.patch_size_kji, self.spacing_mm)
