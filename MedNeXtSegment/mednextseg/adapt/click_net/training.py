"""`mednextseg train --task refine`: from a data folder and a recipe to a ClickNet package."""

from collections.abc import Callable
from pathlib import Path

import torch

import mednextseg
from mednextseg.adapt.click_net.cache import build_cache
from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.click_net.trainer import ClickNetTrainer
from mednextseg.adapt.click_net.validation import validation_views
from mednextseg.adapt.click_net.views import BOX_MARGINS
from mednextseg.adapt.resumable_training import BEST_CHECKPOINT
from mednextseg.models.model_card import LICENSE_FILE, WEIGHTS_FILE, ModelCard, card_from_dict, write_card
from mednextseg.models.weights import write_safetensors

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
        start_from: weights.safetensors of an earlier ClickNet that a new run starts with.
    """
    folder = Path(folder)
    build_cache(recipe, data_folder, folder / CACHE_FOLDER)
    views = validation_views(recipe.at(recipe.max_steps), data_folder)
    ClickNetTrainer(recipe, folder / CACHE_FOLDER, views, folder, device, on_step, start_from).run()
    return package_click_net(folder / BEST_CHECKPOINT, recipe, folder / PACKAGE_FOLDER)


def package_click_net(checkpoint: Path, recipe: ClickNetRecipe, package: Path, metrics: tuple[dict, ...] = ()) -> ModelCard:
    """Write card.json, weights.safetensors and LICENSE.

    Args:
        checkpoint: of a ClickNetTrainer.
        recipe: it was trained by; the section "card" may give further fields of the card.
        package: folder to write.
        metrics: as measured, for the card.
    Raises:
        FileNotFoundError: where the training has not reached its first validation yet.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"{checkpoint} does not exist; let the training reach its first validation.")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    prefix = "module."
    tensors = {name[len(prefix) :]: tensor for name, tensor in state["averaged"].items() if name.startswith(prefix)}
    package = Path(package)
    package.mkdir(parents=True, exist_ok=True)
    digest = write_safetensors(tensors, package / WEIGHTS_FILE)
    raw = {
        "id": recipe.id,
        "version": recipe.extra.get("version", "0.1.0"),
        "title": recipe.title,
        "task": "refine",
        "family": "clicknet",
        "architecture": {
            "widths": list(recipe.widths),
            "deepest_blocks": recipe.deepest_blocks,
            "input_channels": tensors["stem.weight"].shape[1],
        },
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
        "metrics": list(metrics),
        "weights_license": "CC-BY-SA-4.0",
        "minimum_engine_version": mednextseg.__version__,
        **recipe.extra.get("card", {}),
        "weights_sha256": [digest],
    }
    card = card_from_dict(raw, source=f"the card of {recipe.id}")
    write_card(card, package)
    (package / LICENSE_FILE).write_text(f"{card.weights_license}\n", encoding="utf-8")
    return card
