"""A bare state dict with a card that the user wrote: official or MONAI MedNeXt, STU-Net; .pth, .pt, .safetensors."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mednextseg.models.importers.package import Draft
from mednextseg.models.pickles.restricted_unpickler import load_checkpoint
from mednextseg.models.weights import read_safetensors

# Entries under which training programs put the network's tensors.
_WRAPPERS = ("state_dict", "network_weights", "model_state_dict", "model", "net", "network")


def read_plain(path: Path, card_fields: Mapping[str, object]) -> Draft:
    """A draft from a weights file and the fields of a model card; architecture and hashes are filled in from the tensors.

    Raises:
        ValueError: where the file holds no tensors, or a STU-Net comes without its pooling sizes, which its tensors do not show.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; with a card of your own give the weights file itself.")
    fields = {name: value for name, value in card_fields.items() if name not in ("family", "weights_sha256")}
    architecture = dict(fields.pop("architecture", None) or {})
    return Draft(
        fields={**fields, "source": {"program": "state dict"}},
        folds=(lambda: _tensors(path, architecture),),
        sources=(path,),
        architecture=architecture,
    )


def tensors_of(content: Mapping[str, object], file_name: str) -> dict[str, Tensor]:
    """The network's tensors in a checkpoint, whichever entry they lie under.

    Raises:
        ValueError: where there are none.
    """
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) != len(content):
        raise ValueError(f"{file_name} is not a state dict; save the network's own: torch.save(network.state_dict(), file).")
    return tensors


def _tensors(path: Path, architecture: Mapping[str, object]) -> dict[str, Tensor]:
    tensors = read_safetensors(path) if path.suffix == ".safetensors" else tensors_of(load_checkpoint(path), path.name)
    if any("conv_blocks_context." in name for name in tensors) and "pool_sizes_kji" not in architecture:
        raise ValueError(
            "a STU-Net's tensors do not show its pooling; write it into the card, for the published weights as "
            '"architecture": {"pool_sizes_kji": [[2,2,2],[2,2,2],[2,2,2],[2,2,2],[1,1,2]]}.'
        )
    return tensors
