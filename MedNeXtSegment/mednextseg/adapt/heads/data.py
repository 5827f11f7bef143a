"""The heads of a data folder in memory: scans with codes, and label maps, apart for training and for validation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mednextseg.adapt.heads.real import LabeledHead
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.synthetic import LabelMap
from mednextseg.cases.splits import read_split
from mednextseg.geometry import Geometry, axis_map
from mednextseg.volume_io import read_volume

ORIENTATION = "LPS"
_MAP_SPACING_MM = 1.0


@dataclass(frozen=True)
class Heads:
    """Training and validation heads, both kinds."""

    real: list[LabeledHead]
    real_validation: dict[str, LabeledHead]
    maps: list[LabelMap]
    maps_validation: list[LabelMap]


def load_heads(folder: Path, recipe: HeadRecipe) -> Heads:
    """Read everything a recipe names.

    Raises:
        FileNotFoundError: where a file or folder is missing.
        ValueError: for a scan that lies on another grid than its labels, or whose voxels are no cubes of the expected size.
    """
    split = read_split(folder / recipe.real_heads / "split.json")
    paths = sorted((folder / recipe.label_maps).glob("*.nii.gz"))
    if len(paths) <= recipe.validation_maps:
        raise FileNotFoundError(
            f"{folder / recipe.label_maps} has {len(paths)} label maps; the recipe needs more than {recipe.validation_maps}."
        )
    maps = [label_map(path) for path in paths]
    first_validation = len(maps) - recipe.validation_maps
    return Heads(
        real=training_heads(folder, recipe),
        real_validation={name: _real_head(folder / recipe.real_heads, name) for name in split.validation},
        maps=maps[:first_validation],
        maps_validation=maps[first_validation:],
    )


def training_heads(folder: Path, recipe: HeadRecipe) -> list[LabeledHead]:
    """The real heads that a recipe trains on; errors as of `load_heads`."""
    split = read_split(folder / recipe.real_heads / "split.json")
    return [_real_head(folder / recipe.real_heads, name) for name in split.training]


def _real_head(folder: Path, name: str) -> LabeledHead:
    image, geometry = read_volume(folder / "images" / f"{name}_0000.nii.gz")
    values, label_geometry = read_volume(folder / "labels" / f"{name}.nii.gz")
    if not label_geometry.matches(geometry):
        raise ValueError(f"image and labels of {name} lie on different grids; resample one onto the other.")
    spacing = geometry.spacing_kji_mm
    if not np.allclose(spacing, spacing[0], rtol=0.01):
        raise ValueError(f"{name} has spacing {spacing} mm; resample it to cubic voxels.")
    codes = structures().joins["muse"][torch.from_numpy(_turned(values, geometry).astype(np.int64))]
    return LabeledHead.of(torch.from_numpy(_turned(image, geometry).astype(np.float32)), codes, float(spacing[0]))


def label_map(path: Path) -> LabelMap:
    """A label map with FreeSurfer's values, for synthetic heads; ValueError for voxels that are no cubes of 1 mm."""
    values, geometry = read_volume(path)
    if not np.allclose(geometry.spacing_kji_mm, _MAP_SPACING_MM, rtol=0.01):
        raise ValueError(f"{path.name} has spacing {geometry.spacing_kji_mm} mm; label maps need {_MAP_SPACING_MM} mm.")
    return LabelMap.of(torch.from_numpy(_turned(values, geometry).astype(np.int16)))


def _turned(volume_kji: np.ndarray, geometry: Geometry) -> np.ndarray:
    return np.ascontiguousarray(axis_map(geometry.orientation, ORIENTATION).apply(volume_kji))
