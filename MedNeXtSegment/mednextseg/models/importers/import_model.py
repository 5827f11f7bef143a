"""The one entrance: a path that someone points at -> which layout it is -> a package in the library."""

import json
from collections.abc import Callable
from pathlib import Path

from mednextseg.models.importers.monai_bundle import is_monai_bundle, read_monai_bundle
from mednextseg.models.importers.nnunet_v1 import is_nnunet_v1, read_nnunet_v1
from mednextseg.models.importers.nnunet_v2 import is_nnunet_v2, read_nnunet_v2
from mednextseg.models.importers.package import Draft, ImportedModel, write_package
from mednextseg.models.importers.plain import read_plain
from mednextseg.models.library import library_folder
from mednextseg.models.model_card import CARD_FILE

_LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Draft]], ...] = (
    (is_monai_bundle, read_monai_bundle),
    (is_nnunet_v1, read_nnunet_v1),
    (is_nnunet_v2, read_nnunet_v2),
)


def import_model(
    path: str | Path, model_id: str | None = None, card_file: str | Path | None = None, overrides: dict | None = None
) -> ImportedModel:
    """Convert a trained network to a model package in the user's library; the source is only read.

    Args:
        path: an nnU-Net v1 or v2 results folder (task, trainer or fold), its weights file, a MONAI bundle, or a file with a state dict.
        model_id: of the package; None for one made from the names of data set and trainer.
        card_file: JSON with the fields of a model card, for a state dict that comes without a description of its own.
        overrides: fields of the card to replace, such as title or weights_license.
    Returns:
        The card, the folder and what the user should know.
    Raises:
        FileNotFoundError: where the path does not exist.
        ValueError: for a layout that is not known, a damaged or hostile file, and everything that could not be honoured exactly.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; give the folder or file of a trained network.")
    draft = _read(path, None if card_file is None else Path(card_file))
    fields = dict(overrides or {})
    if model_id is not None:
        fields["id"] = model_id
    return write_package(draft, library_folder(), fields)


def _read(path: Path, card_file: Path | None) -> Draft:
    if card_file is not None:
        return read_plain(path, _json(card_file))
    if path.is_dir() and (path / CARD_FILE).is_file():
        raise ValueError(f"{path} is a model package already; install it with `mednextseg models import` as a folder or zip.")
    for is_layout, read in _LAYOUTS:
        if is_layout(path):
            return read(path)
    if path.is_file():
        raise ValueError(
            f"{path.name} holds weights without a description; write a model card (JSON) for them and give it with --card."
        )
    raise ValueError(
        f"{path} holds no known model: expected an nnU-Net v1 folder (fold_*/model_final_checkpoint.model), an nnU-Net v2 folder "
        "(plans.json, dataset.json, fold_*/checkpoint_final.pth), a MONAI bundle (configs/metadata.json) or a weights file."
    )


def _json(path: Path) -> dict:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is not valid JSON ({error}).") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path.name} must hold one JSON object with the fields of a model card.")
    return raw
