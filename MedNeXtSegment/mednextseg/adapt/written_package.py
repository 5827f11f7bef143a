"""Weights and what is known of them -> a model package: card.json, weights.safetensors, LICENSE."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mednextseg.models.model_card import LICENSE_FILE, WEIGHTS_FILE, ModelCard, card_from_dict, write_card
from mednextseg.models.weights import write_safetensors


def written_package(package: Path, tensors: Mapping[str, Tensor], fields: dict) -> ModelCard:
    """Write the package of a training.

    Args:
        package: folder, made where it is missing.
        tensors: weights by name, in the precision in which they are stored.
        fields: of the card, but for the hash of the weights.
    Raises:
        ValueError: where the card that results is not valid.
        OSError: where the disk is full.
    """
    package = Path(package)
    package.mkdir(parents=True, exist_ok=True)
    digest = write_safetensors(tensors, package / WEIGHTS_FILE)
    card = card_from_dict({**fields, "weights_sha256": [digest]}, source=f"the card of {fields['id']}")
    write_card(card, package)
    (package / LICENSE_FILE).write_text(f"{card.weights_license}\n", encoding="utf-8")
    return card
