"""A finished training -> a model package: the best averaged weights, a card that says how they were made, the license."""

from pathlib import Path

from torch import Tensor

import mednextseg
from mednextseg.adapt.mednext.dataset import LabeledDataset
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.adapt.resumable_training import BEST_CHECKPOINT
from mednextseg.adapt.starting_weights import averaged_weights, is_left_out_of_models
from mednextseg.adapt.written_package import written_package
from mednextseg.models.importers.naming import label_fields
from mednextseg.models.model_card import ModelCard

_OUTPUT_BIAS = "out_0.conv_out.bias"


def package_training(training_folder: Path, recipe: MedNeXtRecipe, dataset: LabeledDataset, package: Path) -> ModelCard:
    """Write a model package from a training folder.

    The recipe's `card` section may give any field of the card (title, labels' names, colors and codes, citation, license, ...); what
    the training determines (architecture, grid, normalization, mirror axes, hash) is filled in here.

    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
        ValueError: where the card that results is not valid.
    """
    return write_package(training_folder, _determined_by_training(recipe, dataset), recipe.extra.get("card", {}), package)


def best_checkpoint(training_folder: Path) -> Path:
    """The file of the best weights so far; FileNotFoundError where the training has not reached its first validation yet."""
    checkpoint = Path(training_folder) / BEST_CHECKPOINT
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{training_folder} has no {BEST_CHECKPOINT}; let the training reach its first validation.")
    return checkpoint


def write_package(
    training_folder: Path, determined: dict, overrides: dict, package: Path, output_bias: Tensor | None = None
) -> ModelCard:
    """Weights, card and license of the best checkpoint of a training.

    Args:
        determined: fields of the card that the training determines. overrides: those that the recipe gives.
        output_bias: (classes,), added to the bias of the last layer.
    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
        ValueError: where the card that results is not valid.
    """
    averaged = averaged_weights(best_checkpoint(training_folder))
    tensors = {name: tensor for name, tensor in averaged.items() if not is_left_out_of_models(name)}
    if output_bias is not None:
        tensors[_OUTPUT_BIAS] = tensors[_OUTPUT_BIAS] + output_bias
    return written_package(package, tensors, {**determined, **overrides})


def _determined_by_training(recipe: MedNeXtRecipe, dataset: LabeledDataset) -> dict:
    modality = recipe.extra.get("modality", "MR")
    return {
        "id": recipe.id,
        "version": "1.0.0",
        "title": recipe.title,
        "task": "segment",
        "family": "mednext",
        "architecture": {
            "variant": recipe.variant,
            "kernel_size": recipe.kernel_size,
            "base_channels": recipe.base_channels,
        },
        "channels": [
            {"name": name, "modality": modality, "normalization": {"scheme": n.scheme} if n.scheme != "ct" else vars(n)}
            for name, n in zip(dataset.channels, recipe.normalization, strict=True)
        ],
        "labels": [label_fields(value, name) for name, value in dataset.labels.items() if value > 0],
        "spacing_kji_mm": recipe.spacing_kji_mm,
        "patch_size_kji": recipe.patch_size_kji,
        "orientation": recipe.orientation,
        "mirror_axes_kji": recipe.mirror_axes_kji,
        "exchanged_sides": recipe.exchanged_sides,
        "weights_license": "as the training data",
        "minimum_engine_version": mednextseg.__version__,
    }
