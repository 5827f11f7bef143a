"""A finished training on heads -> a model package."""

import colorsys
from pathlib import Path

import mednextseg
from mednextseg.adapt.heads.data import ORIENTATION
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.mednext.packaging import write_package
from mednextseg.models.model_card import ModelCard

_FLUID = ("ventricle", "fluid")
_HUE_STEP = 0.618  # golden section: neighbors in the list get hues far apart


def package_heads(training_folder: Path, recipe: HeadRecipe, package: Path) -> ModelCard:
    """Write a model package from a training folder; the recipe's `card` section may give any field of the card.

    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
        ValueError: where the card that results is not valid.
    """
    return write_package(training_folder, _determined_by_training(recipe), recipe.extra.get("card", {}), package)


def _determined_by_training(recipe: HeadRecipe) -> dict:
    names = structures().classes[1:]
    return {
        "id": recipe.id,
        "version": "1.0.0",
        "title": recipe.title,
        "task": "segment",
        "family": "mednext",
        "architecture": {"variant": "S", "kernel_size": recipe.kernel_size, "base_channels": recipe.base_channels},
        "channels": [{"name": "MR", "modality": "MR", "normalization": {"scheme": "percentile_zscore"}}],
        "labels": [{"value": value, "name": name, "color": _color(name)} for value, name in enumerate(names, start=1)],
        "totals": {"brain without ventricles": [name for name in names if not name.endswith(_FLUID)]},
        "spacing_kji_mm": (recipe.spacing_mm,) * 3,
        "patch_size_kji": recipe.patch_size_kji,
        "orientation": ORIENTATION,
        "weights_license": "as the training data",
        "minimum_engine_version": mednextseg.__version__,
    }


def _color(name: str) -> tuple[int, ...]:
    """A color of the structure, the same for both sides, which Slicer tells apart by name and place."""
    without_side = name.removeprefix("left ").removeprefix("right ")
    kinds = list(dict.fromkeys(n.removeprefix("left ").removeprefix("right ") for n in structures().classes[1:]))
    place = kinds.index(without_side)
    rgb = colorsys.hsv_to_rgb(place * _HUE_STEP % 1, 0.45 + 0.2 * (place % 2), 0.9)
    return tuple(round(255 * part) for part in rgb)
