"""`mednextseg train --task refine`: from a data folder and a recipe to a ClickNet package."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import mednextseg
from mednextseg.adapt.click_net.cache import build_cache
from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.click_net.trainer import ClickNetTrainer
from mednextseg.adapt.click_net.validation import validation_views
from mednextseg.adapt.click_net.views import BOX_MARGINS
from mednextseg.adapt.resumable_training import BEST_CHECKPOINT
from mednextseg.adapt.starting_weights import check_start, mixed_with_start
from mednextseg.adapt.written_package import written_package
from mednextseg.models.model_card import ModelCard

CACHE_FOLDER, PACKAGE_FOLDER = "cache", "package"


def train_click_net(
    data_folder: Path,
    recipe: ClickNetRecipe,
    folder: Path,
    device: str = "cpu",
    on_step: Callable[[int, int, float], None] = lambda step, max_steps, loss: None,
    start_from: Path | None = None,
) -> ModelCard:
    """Cut the training slices once, train (or go on training), and package the best averaged weights.

    Args:
        data_folder: what the recipe's folders are relative to.
        recipe: data, simulated prompts, network and schedule.
        folder: gets cache/, the checkpoints, the log and package/.
        device: a torch device name.
        on_step: called with (step, max_steps, loss).
        start_from: weights that a new run starts with (see `weights_at`).
    Raises:
        ValueError: where the recipe keeps a share of what it starts from, and no weights to start from are given.
    """
    folder = Path(folder)
    check_start(recipe.kept_of_start, start_from)
    build_cache(recipe, data_folder, folder / CACHE_FOLDER)
    views = validation_views(recipe.at(recipe.max_steps), data_folder)
    ClickNetTrainer(recipe, folder / CACHE_FOLDER, views, folder, device, on_step, start_from).run()
    return package_click_net(folder / BEST_CHECKPOINT, recipe, folder / PACKAGE_FOLDER, start_from)


def package_click_net(checkpoint: Path, recipe: ClickNetRecipe, package: Path, start_from: Path | None = None) -> ModelCard:
    """Write card.json, weights.safetensors and LICENSE.

    Args:
        checkpoint: of a ClickNetTrainer.
        recipe: it was trained by; the section "card" may give further fields of the card.
        package: folder to write.
        start_from: the weights that the training started with, where the recipe keeps a share of them.
    Raises:
        ValueError: as `train_click_net`.
        FileNotFoundError: where the training has not reached its first validation yet.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"{checkpoint} does not exist; let the training reach its first validation.")
    check_start(recipe.kept_of_start, start_from)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    fields = {
        "id": recipe.id,
        "version": recipe.extra.get("version", "0.1.0"),
        "title": recipe.title,
        "task": "refine",
        "family": "clicknet",
        "architecture": {"widths": list(recipe.widths), "deepest_blocks": recipe.deepest_blocks},
        "channels": [{"name": "slice", "modality": "any", "normalization": {"scheme": "minmax"}}],
        "labels": [],
        "prompts": {
            "kinds": ["point", "box", "mask"],
            "view_size_px": recipe.at(recipe.max_steps).view_size_px,
            "disk_radius_px": recipe.disk_radius_px,
            "box_margin": sum(BOX_MARGINS) / 2,
        },
        "training_steps": state["step"],
        "training_data": [{"name": source.name, "licence": source.license} for source in recipe.training],
        "weights_license": "CC-BY-SA-4.0",
        "minimum_engine_version": mednextseg.__version__,
        **recipe.extra.get("card", {}),
    }
    return written_package(package, _packaged_weights(state["averaged"], recipe, start_from), fields)


def _packaged_weights(averaged: dict[str, Tensor], recipe: ClickNetRecipe, start_from: Path | None) -> dict[str, Tensor]:
    """In half precision: the file is half as large, and the network computes in single precision all the same."""
    prefix = "module."
    tensors = {name[len(prefix) :]: tensor for name, tensor in averaged.items() if name.startswith(prefix)}
    tensors = mixed_with_start(tensors, start_from, recipe.kept_of_start)
    return {name: tensor.half() for name, tensor in tensors.items()}
