"""All tensors of a package: its own, and for an adapter those of the model it was made from, which must be the very same."""

from pathlib import Path

from torch import Tensor

from mednextseg.json_values import listed
from mednextseg.models.base_model import BaseModel
from mednextseg.models.library import installed_versions, sha256_of
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.models.weights import read_safetensors


def package_tensors(folder: Path, card: ModelCard, file: str) -> dict[str, Tensor]:
    """The tensors of one weights file of a package, completed by its base's where the card says so.

    Raises:
        ValueError: in one sentence, where the base is not installed, or its weights are not those the card names.
    """
    own = read_safetensors(folder / file)
    if card.base is None or not card.base.is_needed:
        return own
    base = installed_base(card.base)
    if base is None:
        raise ValueError(
            f"the model {card.id} is an adapter of {card.base.id} {card.base.version}, which is not installed with those weights; "
            f"install that version of {card.base.id}."
        )
    base_card = read_card(base)
    return {**package_tensors(base, base_card, base_card.weights_files[0]), **own}


def installed_base(base: BaseModel) -> Path | None:
    """The folder of the installed model with these weights, whatever its version is called; None where there is none.

    Raises:
        ValueError: where its weights file is not what its card says.
    """
    versions = installed_versions().get(base.id, {})
    for version in sorted(versions, key=lambda version: version != base.version):
        card = read_card(versions[version])
        if card.weights_sha256 != base.weights_sha256 or card.parts:
            continue
        files = [versions[version] / file for file in card.weights_files]
        altered = [file.name for file, digest in zip(files, base.weights_sha256, strict=True) if sha256_of(file) != digest]
        if altered:
            raise ValueError(f"the model {base.id} is damaged: {listed(altered)} is truncated or altered; install it again.")
        return versions[version]
    return None
