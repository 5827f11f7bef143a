"""Which computer computes: this one, or a server whose address and fingerprint the settings have. The token stays in memory only."""

import json

from mednextseg.models.library import library_folder
from mednextseg.models.model_card import card_from_dict, write_card
from mednextseg.worker.remote.pinning import checked_address, checked_fingerprint, checked_token
from MedNeXtSegmentLib import Settings
from MedNeXtSegmentLib.Worker.WorkerLaunch import WorkerLaunch
from MedNeXtSegmentLib.Worker.WorkerProcess import defaultProgram

_RELAY = ("-u", "-m", "mednextseg.worker.remote.relay")
_tokens: dict[str, str] = {}  # address -> token, as it was typed since Slicer started


def keepToken(token: str) -> None:
    """Show this token to the chosen server from now on; an empty one forgets it."""
    _tokens[Settings.read(Settings.SERVER_ADDRESS_KEY)] = token.strip()


def token() -> str:
    """Of the chosen server; empty where none was typed."""
    return _tokens.get(Settings.read(Settings.SERVER_ADDRESS_KEY), "")


def problem() -> str:
    """What the chosen server still lacks to be asked, in one sentence; empty where nothing, or where this computer computes."""
    if not Settings.isServerChosen():
        return ""
    try:
        checked_address(Settings.read(Settings.SERVER_ADDRESS_KEY))
        checked_fingerprint(Settings.read(Settings.SERVER_FINGERPRINT_KEY))
        checked_token(token())
    except ValueError as error:
        return f"The server: {error}"
    return ""


def serverLaunch() -> WorkerLaunch | None:
    """The relay to the chosen server, which runs in Slicer's own Python; None where this computer computes."""
    if not Settings.isServerChosen():
        return None
    Settings.applyHome()
    address, fingerprint = Settings.read(Settings.SERVER_ADDRESS_KEY), Settings.read(Settings.SERVER_FINGERPRINT_KEY)
    arguments = (*_RELAY, f"--server={address}", f"--fingerprint={fingerprint}")
    return WorkerLaunch(defaultProgram(), arguments, None, json.dumps({"token": token()}).encode("ascii") + b"\n")


def keepServersModels(models: list[dict]) -> None:
    """Make the library the server's: its cards, without weights, so that every list and description shows what it has.

    Args:
        models: as the operation "list_models" gives them.
    """
    cards = [card_from_dict({k: v for k, v in model.items() if k not in ("is_loaded", "folder")}) for model in models]
    folder = library_folder()
    names = {f"{card.id}-{card.version}": card for card in cards}
    for old in folder.glob("*/card.json"):
        if old.parent.name not in names:
            old.unlink()
    for name, card in names.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_card(card, folder / name)
