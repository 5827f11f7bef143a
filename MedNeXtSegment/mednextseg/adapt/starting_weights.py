"""The weights that a new training starts with: those of a model, or the averaged ones of an earlier training."""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from mednextseg.adapt.losses.network_terms import is_for_training
from mednextseg.models.model_card import WEIGHTS_FILE
from mednextseg.models.weights import load_strictly, read_safetensors

# Outputs of deep supervision: a finished model has none, and a training begins them anew.
_HEADS_FOR_TRAINING_ONLY = ("out_1.", "out_2.", "out_3.", "out_4.")


def start_with(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load weights into a new network; parts that only a training has, and a finished model lacks, stay as they are.

    Raises:
        ValueError: where they are those of another network.
    """
    only_for_training = {name: tensor for name, tensor in network.state_dict().items() if is_left_out_of_models(name)}
    load_strictly(network, {**only_for_training, **tensors})


def weights_at(path: Path) -> dict[str, Tensor]:
    """Tensors by name, to start a training with.

    Args:
        path: a model's folder, its weights.safetensors, or best.pt or last.pt of a training.
    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it holds no weights.
    """
    path = Path(path)
    path = path / WEIGHTS_FILE if path.is_dir() else path
    return read_safetensors(path) if path.suffix == ".safetensors" else averaged_weights(path)


def is_left_out_of_models(name: str) -> bool:
    """Whether a tensor serves the training alone, so that a finished model goes without it."""
    return name.startswith(_HEADS_FOR_TRAINING_ONLY) or is_for_training(name)


def averaged_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The network's averaged weights in a checkpoint of a training.

    Raises:
        ValueError: where the file is no checkpoint of a training.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise ValueError(
            f"{checkpoint} holds no weights; give best.pt of a training, or weights.safetensors of a model."
        ) from error
    return {name.removeprefix("module."): tensor for name, tensor in state.items() if name.startswith("module.")}


def check_start(kept_of_start: float, start_from: Path | None) -> None:
    """Raise ValueError where a recipe keeps a share of weights that are not given."""
    if kept_of_start and start_from is None:
        raise ValueError(
            f"the recipe keeps {kept_of_start:g} of the weights that it starts from, and none are given; "
            "name them with --start-from."
        )


def mixed_with_start(tensors: dict[str, Tensor], start_from: Path | None, kept_of_start: float) -> dict[str, Tensor]:
    """A network's weights with a share of those that its training started from (Wortsman et al., arXiv 2109.01903).

    Tensors that the start lacks stay as they were learned.
    """
    if not kept_of_start or start_from is None:
        return tensors
    first = weights_at(start_from)
    return {name: torch.lerp(tensor, first.get(name, tensor).to(tensor), kept_of_start) for name, tensor in tensors.items()}
