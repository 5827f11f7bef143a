"""The library of installed models: what it holds, and requests to the worker that change it. No widgets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mednextseg.models.install.installation import size_bytes
from mednextseg.models.library import bundled_models_folder, installed_versions, library_folder
from mednextseg.models.model_card import ModelCard, read_card
from MedNeXtSegmentLib.Worker.RunFailure import WorkerError


@dataclass(frozen=True)
class InstalledModel:
    """One version of a model on this computer."""

    card: ModelCard
    folder: Path
    sizeBytes: int
    isBundled: bool

    @property
    def name(self) -> str:
        """By which the worker finds this very version."""
        return f"{self.card.id}@{self.card.version}"


@dataclass(frozen=True)
class LibraryEvents:
    """What the one who asks is told; exactly one of onDone and onError is called.

    Attributes:
        onProgress: phase, fraction in [0, 1], seconds left (None while unknown).
        onDone: the value of the operation, see mednextseg.worker.operations.models.
        onError: why nothing changed.
    """

    onProgress: Callable[[str, float, float | None], None]
    onDone: Callable[[dict], None]
    onError: Callable[[WorkerError], None]


class ModelsLogic:
    """One change at a time; nothing blocks, and nothing but `installFromUrl` uses the network.

    Args:
        worker: the WorkerClient that does the work.
    """

    def __init__(self, worker) -> None:
        self._worker = worker
        self._requestId: int | None = None

    @property
    def isBusy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._requestId is not None

    @property
    def folder(self) -> Path:
        """Where installed models lie."""
        return library_folder()

    def models(self) -> list[InstalledModel]:
        """Every version of every installed model, sorted by title."""
        bundled = bundled_models_folder().resolve()
        folders = [folder for versions in installed_versions().values() for folder in versions.values()]
        found = [InstalledModel(read_card(f), f, size_bytes(f), f.resolve().parent == bundled) for f in folders]
        return sorted(found, key=lambda model: (model.card.title, model.card.version))

    def importModel(self, path: str, events: LibraryEvents, acceptLicense: bool = False) -> None:
        """Add a model package or a network of another program.

        Args:
            path: folder or file; weights without a description are taken with the card NAME.json that lies beside them.
            events: what to call.
            acceptLicense: the user has read and accepts the license.
        """
        self._request("import_model", {"path": path, "accept_license": acceptLicense}, events)

    def installFromUrl(self, url: str, sha256: str, events: LibraryEvents, acceptLicense: bool = False) -> None:
        """Download a model package (a zip with this SHA-256) and add it."""
        self._request("install_model", {"url": url, "sha256": sha256, "accept_license": acceptLicense}, events)

    def exportModel(self, model: InstalledModel, target: str, events: LibraryEvents) -> None:
        """Write a model as one zip, which `importModel` takes on another computer."""
        self._request("export_model", {"model": model.name, "target": target}, events)

    def removeModel(self, model: InstalledModel, events: LibraryEvents) -> None:
        """Delete a model that is not part of the extension."""
        self._request("remove_model", {"model": model.name}, events)

    def verifyModel(self, model: InstalledModel, events: LibraryEvents) -> None:
        """Compare a model's files with the hashes of its card."""
        self._request("verify_model", {"model": model.name}, events)

    def cancel(self) -> None:
        """Ask for the change under way to be stopped; onError tells when it has been."""
        if self._requestId is not None:
            self._worker.cancel(self._requestId)

    def close(self) -> None:
        """Stop what is under way; nobody is told any more."""
        self.cancel()
        self._requestId = None

    def _request(self, operation: str, parameters: dict, events: LibraryEvents) -> None:
        if self.isBusy:
            raise RuntimeError("the library is being changed; wait for it or cancel.")

        def isCurrent() -> bool:
            return self._requestId == handle[0]

        def onProgress(phase: str, fraction: float, secondsLeft: float | None) -> None:
            if isCurrent():
                events.onProgress(phase, fraction, secondsLeft)

        def onEnd(tell: Callable, answer) -> None:
            if isCurrent():
                self._requestId = None
                tell(answer)

        handle = [
            self._worker.request(
                operation,
                parameters,
                onResult=lambda value: onEnd(events.onDone, value),
                onError=lambda error: onEnd(events.onError, error),
                onProgress=onProgress,
            )
        ]
        self._requestId = handle[0]
