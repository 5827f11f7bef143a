"""A finished training on heads -> a model package."""

from collections.abc import Sequence
from pathlib import Path

import mednextseg
from mednextseg.adapt.heads.calibration import calibration_of
from mednextseg.adapt.heads.data import ORIENTATION
from mednextseg.adapt.heads.real import LabeledHead
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.trainer import network_of
from mednextseg.adapt.mednext.packaging import best_checkpoint, write_package
from mednextseg.adapt.starting_weights import averaged_weights
from mednextseg.models.importers.naming import label_fields
from mednextseg.models.model_card import ModelCard

_FLUID = ("ventricle", "fluid")
_LEFT = "left "


def package_heads(
    training_folder: Path, recipe: HeadRecipe, heads: Sequence[LabeledHead], package: Path, device: str = "cpu"
) -> ModelCard:
    """Write a model package from a training folder; the recipe's `card` section may give any field of the card.

    Args:
        heads: those of the training, on which the logits of the structures are balanced (calibration.py).
        device: a torch device name, on which that is computed.
    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
        ValueError: where the card that results is not valid.
    """
    network = network_of(recipe)
    network.load_state_dict(averaged_weights(best_checkpoint(training_folder)))
    biases = calibration_of(network, heads, recipe.grid, device)
    return write_package(training_folder, _determined_by_training(recipe), recipe.extra.get("card", {}), package, biases)


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
        "labels": [label_fields(value, name) for value, name in enumerate(names, start=1)],
        "totals": {"brain without ventricles": [name for name in names if not name.endswith(_FLUID)]},
        "spacing_kji_mm": (recipe.spacing_mm,) * 3,
        "patch_size_kji": recipe.patch_size_kji,
        "orientation": ORIENTATION,
        "mirror_axes_kji": (2,),
        "exchanged_sides": [(name, _right(name)) for name in names if name.startswith(_LEFT)],
        "weights_license": "as the training data",
        "minimum_engine_version": mednextseg.__version__,
    }


def _right(name: str) -> str:
    return f"right {name.removeprefix(_LEFT)}"
