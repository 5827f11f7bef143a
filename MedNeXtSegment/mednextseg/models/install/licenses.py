"""Licenses of weights: which ones need the user's consent, and which consents were given. Standard library only."""

import hashlib
import json
from pathlib import Path

from mednextseg.files import write_text
from mednextseg.models.library import library_folder
from mednextseg.models.model_card import LICENSE_FILE, ModelCard

# Licenses that allow any use as long as authors are named (and, for share-alike, the weights stay under the same terms).
_PERMISSIVE = (
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0",
    "cc0-1.0",
    "cc-by-4.0",
    "cc by 4.0",
    "cc-by-sa-4.0",
    "cc by-sa 4.0",
    "unlicense",
)
_CONSENTS_FILE = "accepted_licenses.json"


class LicenseNotAcceptedError(ValueError):
    """The license of the weights restricts their use; `text` is what the user has to read."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


def needs_consent(card: ModelCard) -> bool:
    """Whether the license of the weights is not one of the well-known permissive ones."""
    return card.weights_license.strip().lower() not in _PERMISSIVE


def is_accepted(card: ModelCard, folder: Path) -> bool:
    """Whether the user accepted this very text for this model before."""
    return _consents().get(card.id) == _digest(license_text(card, folder))


def license_text(card: ModelCard, folder: Path) -> str:
    """The license as the package has it, under its name on the card."""
    file = folder / LICENSE_FILE
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return f"{card.weights_license}\n\n{text}".strip()


def check_license(card: ModelCard, folder: Path, accept: bool) -> None:
    """Remember a consent that is given, and insist on one where it is needed.

    Raises:
        LicenseNotAcceptedError: with the license's text.
    """
    if not needs_consent(card) or is_accepted(card, folder):
        return
    text = license_text(card, folder)
    if not accept:
        raise LicenseNotAcceptedError(
            f"the weights of {card.id} are licensed as {card.weights_license!r}; read the license and accept it.",
            text,
        )
    consents = {**_consents(), card.id: _digest(text)}
    file = library_folder() / _CONSENTS_FILE
    write_text(file, json.dumps(consents, indent=2, sort_keys=True) + "\n")


def _consents() -> dict[str, str]:
    file = library_folder() / _CONSENTS_FILE
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
