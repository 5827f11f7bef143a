"""A finished training of the completing network -> a package for the folder of a ClickNet."""

from pathlib import Path

import torch

import mednextseg
from mednextseg.adapt.completion.recipe import CompletionRecipe
from mednextseg.adapt.mednext.packaging import best_checkpoint
from mednextseg.adapt.starting_weights import averaged_weights, check_start, is_left_out_of_models, mixed_with_start
from mednextseg.adapt.written_package import written_package
from mednextseg.models.model_card import ModelCard
from mednextseg.refine.completion.network_input import CHANNELS


def package_completion(
    training_folder: Path, recipe: CompletionRecipe, package: Path, start_from: Path | None = None
) -> ModelCard:
    """Write card.json, weights.safetensors (in half precision) and LICENSE; the recipe's `card` section may give fields of the card.

    Args:
        start_from: the weights of which recipe.kept_of_start is a share.
    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
        ValueError: where those weights are not given, or the card that results is not valid.
    """
    checkpoint = best_checkpoint(training_folder)
    check_start(recipe.kept_of_start, start_from)
    averaged = {name: tensor for name, tensor in averaged_weights(checkpoint).items() if not is_left_out_of_models(name)}
    mixed = mixed_with_start(averaged, start_from, recipe.kept_of_start)
    tensors = {name: tensor.half() for name, tensor in mixed.items()}
    fields = {
        "id": recipe.id,
        "version": recipe.extra.get("version", "0.1.0"),
        "title": recipe.title,
        "task": "refine",
        "family": "mednext",
        "architecture": {"kernel_size": recipe.kernel_size, "base_channels": recipe.base_channels},
        "channels": [{"name": name, "modality": "any", "normalization": {"scheme": "none"}} for name in CHANNELS],
        "labels": [],
        "patch_size_kji": [recipe.size] * 3,
        "training_steps": int(torch.load(checkpoint, map_location="cpu", weights_only=True)["step"]),
        "training_data": [{"name": source.name, "license": source.license} for source in recipe.training],
        "weights_license": "CC-BY-SA-4.0",
        "minimum_engine_version": mednextseg.__version__,
        **recipe.extra.get("card", {}),
    }
    return written_package(package, tensors, fields)
