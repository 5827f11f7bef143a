"""The models that can be asked for, and the changes to the library of installed models."""

import time
from collections.abc import Callable
from pathlib import Path

from mednextseg.errors import Cancelled
from mednextseg.models.install.installation import export_model, install, is_package, remove_model
from mednextseg.models.install.licenses import LicenseNotAcceptedError
from mednextseg.models.library import find_model, installed_models, sha256_of, verify_model
from mednextseg.models.model_card import read_card
from mednextseg.worker.operations import Context, Operation, model_key, required


def list_models(parameters: dict, context: Context) -> dict:
    """{} -> {"models": [card fields, "folder", and "is_loaded": whether this worker has it open]}, sorted by title."""
    required(parameters, [])
    models = []
    for folder in installed_models().values():
        is_loaded = context.state.models.get(model_key(folder)) is not None
        models.append({**read_card(folder).to_dict(), "folder": str(folder), "is_loaded": is_loaded})
    return {"models": sorted(models, key=lambda model: model["title"])}


def import_model(parameters: dict, context: Context) -> dict:
    """Add a model of this computer's disk to the library.

    Args:
        parameters: "path" of a model package (folder or zip) or of a network of another program (see mednextseg.models.importers);
            optional "card_file" with the fields of a model card for weights without a description, "accept_license" of a package.
        context: of the request; a cancel takes back what was imported.
    Returns:
        "model" id, "version", "folder", "notes" [sentences]; or, where the license has to be accepted first, "license_text" alone.
    """
    path_text, card_file, accept_license = required(parameters, ["path"], ["card_file", "accept_license"])
    path, timer = Path(path_text), _Timer("import", context)
    timer.report(0.0)
    if is_package(path):
        return _installed(
            lambda: install(path, accept_license=bool(accept_license), progress=timer.bytes, cancelled=context.cancelled),
            context,
        )
    # Only here: it needs PyTorch, and a computer without it can still list, remove and export.
    from mednextseg.models import importers  # noqa: PLC0415

    def report(fraction: float) -> None:
        if context.cancelled():
            raise Cancelled("The import was stopped; nothing was added.")
        timer.report(fraction)

    imported = importers.import_model(path, card_file=card_file, report=report)
    return _added(imported.folder, imported.notes, context)


def install_model(parameters: dict, context: Context) -> dict:
    """Download a model package and add it to the library; the one operation that uses the network.

    Args:
        parameters: "url" of a zip, "sha256" of it; optional "accept_license".
        context: of the request; an interrupted download can be continued.
    Returns:
        As `import_model`.
    """
    url, sha256, accept_license = required(parameters, ["url", "sha256"], ["accept_license"])
    timer = _Timer("download", context)
    timer.report(0.0)
    return _installed(lambda: install(url, sha256, bool(accept_license), timer.bytes, context.cancelled), context)


def export(parameters: dict, context: Context) -> dict:
    """{"model": id or id@version, "target": zip file or folder} -> {"file": the zip, "sha256": of it}."""
    model, target = required(parameters, ["model", "target"])
    context.progress("export", 0.0, None)
    archive = export_model(model, target)
    return {"file": str(archive), "sha256": sha256_of(archive)}


def remove(parameters: dict, context: Context) -> dict:
    """{"model": id or id@version} -> {"folder": that is gone}; a model of the extension itself is refused."""
    (model,) = required(parameters, ["model"])
    context.progress("remove", 0.0, None)
    context.state.models.discard(model_key(find_model(model)))  # Windows does not delete files that are open
    return {"folder": str(remove_model(model))}


def verify(parameters: dict, context: Context) -> dict:
    """{"model": id or id@version} -> {"problems": [phrases]}; empty where the files are those of the card."""
    (model,) = required(parameters, ["model"])
    context.progress("verify", 0.0, None)
    return {"problems": verify_model(find_model(model))}


class _Timer:
    """Reports of one phase, with the seconds left at the pace so far."""

    def __init__(self, phase: str, context: Context) -> None:
        self._phase, self._context, self._started = phase, context, time.monotonic()

    def report(self, fraction: float) -> None:
        seconds_left = (time.monotonic() - self._started) * (1 - fraction) / fraction if fraction else None
        self._context.progress(self._phase, fraction, seconds_left)

    def bytes(self, done: int, total: int | None) -> None:
        self.report(done / total if total else 0.0)


def _installed(install_package: Callable[[], Path], context: Context) -> dict:
    try:
        folder = install_package()
    except LicenseNotAcceptedError as refusal:
        return {"license_text": refusal.text}
    return _added(folder, (), context)


def _added(folder: Path, notes: tuple[str, ...], context: Context) -> dict:
    card = read_card(folder)
    if context.cancelled():
        remove_model(f"{card.id}@{card.version}")
        raise Cancelled
    return {"model": card.id, "version": card.version, "folder": str(folder), "notes": list(notes)}


OPERATIONS: dict[str, Operation] = {
    "list_models": list_models,
    "import_model": import_model,
    "install_model": install_model,
    "export_model": export,
    "remove_model": remove,
    "verify_model": verify,
}
