"""The network that completes objects, opened from its package."""

from pathlib import Path

import numpy as np
import torch

from mednextseg.kernels import accelerate
from mednextseg.models.library import verify_model
from mednextseg.models.model_card import WEIGHTS_FILE, read_card
from mednextseg.models.weights import load_strictly, read_safetensors
from mednextseg.networks.mednext import MedNeXt, variant_config
from mednextseg.refine.completion.network_input import CHANNELS


class CompletingNetwork:
    """A trained network.

    Args:
        network: from the channels of network_input.py to logits of background and object.
        size: voxels along each edge of the cube it was trained on.
        model_hash: SHA-256 of the weights.
        device: torch device name.
    """

    def __init__(self, network: torch.nn.Module, size: int, model_hash: str, device: str = "cpu") -> None:
        self.size, self.model_hash, self._device = size, model_hash, torch.device(device)
        self._run = accelerate(network.eval(), self._device)

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> "CompletingNetwork":
        """Open a package folder (card.json, weights.safetensors).

        Raises:
            ValueError: where the weights are not those the card names.
        """
        card, problems = read_card(folder), verify_model(folder)
        if problems:
            raise ValueError(f"{folder} is no whole package ({', '.join(problems)}); install the model again.")
        config = variant_config("S", len(CHANNELS), 2, **card.architecture)
        network = MedNeXt(config)
        load_strictly(network, read_safetensors(folder / WEIGHTS_FILE))
        return cls(network, card.patch_size_kji[0], card.weights_sha256[0], device)

    def log_odds(self, channels: np.ndarray) -> np.ndarray:
        """(Z, Y, X) float32 of the object, of channels (5, Z, Y, X) float32; ValueError for another shape."""
        expected = (len(CHANNELS), *(self.size,) * 3)
        if channels.shape != expected or channels.dtype != np.float32:
            raise ValueError(f"channels are {expected} of float32, got {channels.shape} of {channels.dtype}.")
        with torch.inference_mode():
            outputs = self._run(torch.from_numpy(channels)[None].to(self._device))
        logits = (outputs[0] if isinstance(outputs, list) else outputs)[0].float()
        return (logits[1] - logits[0]).cpu().numpy()
