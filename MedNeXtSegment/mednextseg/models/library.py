"""Finding and verifying installed models: folders with a card, bundled with the extension or in the user's library.

Light on purpose (standard library only): Slicer's process lists models too.
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

from mednextseg.json_values import listed
from mednextseg.machine import home_folder
from mednextseg.models.model_card import CARD_FILE, read_card

NO_BUNDLED_MODELS = (
    "the bundled models are a package of their own, mednextseg-models (from a clone: pip install ./bundled_models)"
)


def bundled_models_folder() -> Path:
    """Where the models that ship with the extension lie: in the extension, beside the engine; else in the package mednextseg-models.

    Where that is not installed, the folder is not there.
    """
    package = Path(__file__).resolve().parents[1]
    in_extension = package.parent / "Resources" / "Models"
    spec = None if in_extension.is_dir() else find_spec("mednextseg_models")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(places[0]) if places else in_extension


def library_folder() -> Path:
    """Where the user's installed models lie: $MEDNEXTSEG_HOME/models, or .mednextseg/models in the home folder."""
    return home_folder() / "models"


def installed_models() -> dict[str, Path]:
    """Model id -> folder of its newest version; the user's library hides a bundled model of the same id.

    Folders without a valid card are left out.
    """
    return {model_id: versions[max(versions, key=_version_key)] for model_id, versions in installed_versions().items()}


def installed_versions() -> dict[str, dict[str, Path]]:
    """Model id -> version -> folder; versions lie side by side in the user's library."""
    found: dict[str, dict[str, Path]] = {}
    for root in (library_folder(), bundled_models_folder()):
        here: dict[str, dict[str, Path]] = {}
        for card_file in sorted(root.glob(f"[!.]*/{CARD_FILE}")) if root.is_dir() else []:
            try:
                card = read_card(card_file.parent)
            except ValueError:
                continue
            here.setdefault(card.id, {})[card.version] = card_file.parent
        found = {**here, **found}
    return found


def package_folder_name(model_id: str, version: str) -> str:
    """The folder of a model in the library.

    Raises:
        ValueError: for a version that cannot be part of a folder's name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", version):
        raise ValueError(f"a model's version must be letters, digits, dots and dashes, got {version!r}.")
    return f"{model_id}-{version}"


def find_model(model: str | Path) -> Path:
    """The folder of a model, by id (the newest version), by id@version or by path.

    Raises:
        ValueError: where there is none, listing the ids there are.
    """
    versions = installed_versions()
    model_id, _, version = str(model).partition("@")
    if model_id in versions:
        if not version:
            return versions[model_id][max(versions[model_id], key=_version_key)]
        if version in versions[model_id]:
            return versions[model_id][version]
        raise ValueError(f"there is no version {version} of {model_id}; installed: {listed(versions[model_id])}.")
    if (Path(model) / CARD_FILE).is_file():
        return Path(model)
    missing = "" if bundled_models_folder().is_dir() else f"; {NO_BUNDLED_MODELS}"
    raise ValueError(
        f"there is no model {str(model)!r}; installed: {listed(versions) or 'none'} (or give a model folder){missing}."
    )


def found_from_anywhere(model: str | Path) -> str:
    """What `find_model` finds the same model by in a process that starts in another folder; raises as that does."""
    folder = find_model(model)
    return str(folder.absolute()) if folder == Path(model) else str(model)


def averages_folds(folder: Path) -> bool:
    """Whether a network of this model, or of one of its parts, is the average of several."""
    card = read_card(folder)
    if card.parts:
        return any(averages_folds(folder / part) for part in card.parts)
    return len(card.weights_sha256) > 1


def verify_model(folder: Path) -> list[str]:
    """Compare every weights file with the card, those of parts with theirs; returns a phrase for each problem, an empty list for none."""
    card = read_card(folder)
    problems = []
    for file, expected in zip(card.weights_files, card.weights_sha256, strict=True):
        if not (folder / file).is_file():
            problems.append(f"{file} is missing")
        elif sha256_of(folder / file) != expected:
            problems.append(f"{file} is truncated or altered (its SHA-256 is not the card's)")
        elif card.parts:
            part = (folder / file).parent
            problems += [f"{part.name}/{problem}" for problem in verify_model(part)]
    return problems


def sha256_of(path: str | Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _version_key(version: str) -> list[tuple[int, int, str]]:
    """Sorts 1.10 behind 1.9; words come before numbers, so that 2.0-beta is older than 2.0.1."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"[._+-]", version)]
