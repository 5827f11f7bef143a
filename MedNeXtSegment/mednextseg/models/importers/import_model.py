"""Importing a model: find out which layout a path has, and make a package in the library of it."""

from collections.abc import Callable
from pathlib import Path

from mednextseg.json_values import read_json_object
from mednextseg.models.importers.monai.auto3dseg import is_auto3dseg, read_auto3dseg
from mednextseg.models.importers.monai.bundle import is_monai_bundle, read_monai_bundle
from mednextseg.models.importers.nnunet_v1 import is_nnunet_v1, read_nnunet_v1
from mednextseg.models.importers.nnunet_v2 import is_nnunet_v2, read_nnunet_v2
from mednextseg.models.importers.package import Draft, ImportedModel, write_package
from mednextseg.models.importers.plain import read_plain
from mednextseg.models.importers.totalsegmentator import is_totalsegmentator, read_totalsegmentator
from mednextseg.models.install.installation import check_sha256
from mednextseg.models.install.package_zip import extract_zip
from mednextseg.models.install.workspace import workspace
from mednextseg.models.library import library_folder
from mednextseg.models.model_card import CARD_FILE

# Of a zip; validation images and curves may lie in it too.
_WEIGHTS = (".pth", ".pt", ".model", ".safetensors")
_NEEDED = (*_WEIGHTS, ".pkl", ".json", ".yaml", ".csv")
_MAX_ENTRIES = 10_000
_UNPACKING = 0.2  # share of the wait; only the progress bar depends on it
_LAYOUTS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Draft]], ...] = (
    (is_monai_bundle, read_monai_bundle),
    (is_totalsegmentator, read_totalsegmentator),
    (is_auto3dseg, read_auto3dseg),
    (is_nnunet_v1, read_nnunet_v1),
    (is_nnunet_v2, read_nnunet_v2),
)


def import_model(
    path: str | Path,
    model_id: str | None = None,
    card_file: str | Path | None = None,
    overrides: dict | None = None,
    sha256: str | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> ImportedModel:
    """Convert a trained network to a model package in the user's library; the source is only read.

    Args:
        path: an nnU-Net v1 or v2 results folder (task, trainer or fold), its weights file, a MONAI bundle or Auto3DSeg model (or a file
            of it), a zip of any of these, or a file with a state dict.
        model_id: of the package; None for one made from the names of data set and trainer.
        card_file: JSON with the fields of a model card, for a state dict that comes without a description of its own; by default the
            file beside the weights with their name and the suffix .json, where it is a card.
        overrides: fields of the card to replace, such as title or weights_license.
        sha256: that the file must have; None for any.
        report: called between steps with the done fraction; may raise to stop.
    Returns:
        The card, the folder and what the user should know.
    Raises:
        FileNotFoundError: where the path does not exist.
        ValueError: for a layout that is not known, a damaged or hostile file, and everything that could not be honored exactly.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}; give the folder or file of a trained network.")
    check_sha256(path, sha256)
    library, fields = library_folder(), dict(overrides or {})
    if model_id is not None:
        fields["id"] = model_id
    card_path = None if card_file is None else Path(card_file)
    if path.is_file() and path.suffix.lower() == ".zip":
        with workspace(library, "unpacking") as folder:
            named = folder / path.stem  # where the zip has no folder of its own, its name is the model's
            named.mkdir()
            extract_zip(path, named, _NEEDED, _MAX_ENTRIES, lambda fraction: report(_UNPACKING * fraction))
            draft = _read_unpacked(named, card_path, path)
            return write_package(draft, library, fields, lambda fraction: report(_UNPACKING + (1 - _UNPACKING) * fraction))
    return write_package(_read(path, card_path), library, fields, report)


def _read_unpacked(folder: Path, card_file: Path | None, archive: Path) -> Draft:
    """Read what a zip held; sentences name the zip rather than the folder, which the user never sees."""
    contents = _contents(folder)
    try:
        return _read(contents, card_file)
    except ValueError as error:
        raise ValueError(str(error).replace(str(contents), archive.name).replace(str(folder), archive.name)) from error


def _read(path: Path, card_file: Path | None) -> Draft:
    card_file = card_file or _card_beside(path)
    if card_file is not None:
        return read_plain(path, read_json_object(card_file))
    if path.is_dir() and (path / CARD_FILE).is_file():
        raise ValueError(f"{path} is a model package already; install it as it is.")
    for is_layout, read in _LAYOUTS:
        if is_layout(path):
            return _described(read, path)
    if path.is_file():
        raise ValueError(
            f"{path.name} holds weights without a description; write a model card (JSON) for them and save it beside them as "
            f"{path.stem}.json."
        )
    raise ValueError(
        f"{path} holds no known model: expected an nnU-Net v1 folder (fold_*/model_final_checkpoint.model), an nnU-Net v2 folder "
        "(plans.json, dataset.json, fold_*/checkpoint_final.pth), a MONAI bundle (configs/metadata.json), an "
        "Auto3DSeg model (model.pt, labels.csv) or a weights file."
    )


def _described(read: Callable[[Path], Draft], path: Path) -> Draft:
    """What an importer found; a description that lacks or twists what it counts on is refused like one that says the wrong thing."""
    try:
        return read(path)
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"the description of {path.name} is not as its program writes it ({type(error).__name__}: {error}); copy the whole folder."
        ) from error


def _card_beside(path: Path) -> Path | None:
    """The card that somebody wrote for weights: NAME.json beside them, if it names channels and labels."""
    card_path = path.with_suffix(".json")
    if not path.is_file() or card_path == path or not card_path.is_file():
        return None
    return card_path if {"channels", "labels"} <= set(read_json_object(card_path)) else None


def _contents(folder: Path) -> Path:
    """What a zip was made of: its only folder, or its only weights file (and what describes it), else everything."""
    children = list(folder.iterdir())
    if len(children) == 1 and children[0].is_dir():
        return _contents(children[0])
    weights = [child for child in children if child.suffix in _WEIGHTS]
    return weights[0] if len(weights) == 1 and all(child.is_file() for child in children) else folder
