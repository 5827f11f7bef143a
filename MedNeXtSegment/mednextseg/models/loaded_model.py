"""A model package opened for running: its card, and its networks on a device, read when first needed."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from mednextseg.kernels import accelerate
from mednextseg.kernels.precision import fastest_dtype
from mednextseg.models.families import NetworkConfig
from mednextseg.models.library import find_model, verify_model
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.models.package_tensors import package_tensors
from mednextseg.models.weights import network_from_state_dict

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class LoadedModel:
    """A model ready to run; weights are read when first needed and kept.

    Attributes:
        folder: the package.
        card: its validated card.
    """

    folder: Path
    card: ModelCard
    _parts: list["LoadedModel"] | None = field(default=None, repr=False)
    _networks: dict[tuple[str, str, str], Callable[[Tensor], Tensor]] = field(default_factory=dict, repr=False)
    _config: NetworkConfig | None = field(default=None, repr=False)

    @property
    def parts(self) -> list["LoadedModel"]:
        """The models that run one after the other; empty for a model that is one network, or several that are averaged."""
        if self._parts is None:
            self._parts = [LoadedModel(self.folder / part, read_card(self.folder / part)) for part in self.card.parts]
        return self._parts

    def without_views(self) -> "LoadedModel":
        """The same model, networks included, which averages over no mirrored views even where its card asks for them."""
        return replace(self, card=replace(self.card, tta=False))

    @property
    def num_outputs(self) -> int:
        """Channels of the network's output: the labels, and the background where one label wins."""
        return len(self.card.labels) + (1 if self.card.activation == "softmax" else 0)

    @property
    def network_config(self) -> NetworkConfig:
        """The architecture as the weights have it, for the memory plan."""
        if self._config is None:
            self._config = self._read_network(self.card.weights_files[0]).config
        return self._config

    def network_loaders(self, device: str, precision: str = "fp32") -> list[Callable[[], Callable[[Tensor], Tensor]]]:
        """One loader for each weights file (fold); the fold loaded last stays in memory, the others are read again."""
        return [partial(self._network, file, device, precision) for file in self.card.weights_files]

    def forget_networks(self) -> None:
        """Free the memory of the network that was used last; it is read again when needed."""
        self._networks.clear()

    def _network(self, file: str, device: str, precision: str) -> Callable[[Tensor], Tensor]:
        key = (file, device, precision)
        if key not in self._networks:
            self._networks.clear()
            network = accelerate(self._read_network(file), device, _dtype(device, precision))
            self._networks[key] = _on_single_slices(network) if self.card.slice_by_slice else network
        return self._networks[key]

    def _read_network(self, file: str) -> nn.Module:
        network = network_from_state_dict(package_tensors(self.folder, self.card, file), self.card.architecture)
        if network.config.num_classes != self.num_outputs:
            raise ValueError(
                f"the card of {self.card.id} has {len(self.card.labels)} labels, which makes {self.num_outputs} outputs, and the "
                f"network in {file} has {network.config.num_classes}; name every label, or install the model again."
            )
        network.deep_supervision = False
        self._config = network.config
        return network


def _dtype(device: str, precision: str) -> torch.dtype:
    """What to compute in. "bf16" is a permission: a processor on which it saves too little keeps the exact single precision."""
    if device == "cpu" and precision == "bf16":
        return fastest_dtype(allow_inexact=True)
    return _PRECISIONS[precision]


def _on_single_slices(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A network of slices, called with windows (N, channels, 1, J, I)."""
    return lambda x: network(x.squeeze(2)).unsqueeze(2)


def load_model(model: str | Path) -> LoadedModel:
    """Open a model by id or folder, verifying its weights.

    Raises:
        ValueError: for an unknown model, an invalid card, or weights that are not those the card names.
    """
    folder = find_model(model)
    problems = verify_model(folder)
    if problems:
        raise ValueError(f"the model {folder.name} is damaged: {'; '.join(problems)}; install it again.")
    return LoadedModel(folder, read_card(folder))
