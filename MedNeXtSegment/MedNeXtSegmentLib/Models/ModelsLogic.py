"""The library of installed models: what it holds, and requests to the worker that change it. No widgets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

from mednextseg.files import write_text
from mednextseg.models.install.installation import size_bytes
from mednextseg.models.library import bundled_models_folder, installed_versions, library_folder
from mednextseg.models.model_card import LICENSE_FILE, ModelCard, read_card, write_card
from MedNeXtSegmentLib.Models.ModelsRun import ModelsRun
from MedNeXtSegmentLib.Worker.WorkerRunLogic import WorkerRunLogic


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
class Description:
    """What people write about a model; `modality` is that of all its channels, an empty one leaves them as they are."""

    modality: str
    bodyPart: str
    license: str
    note: str


class ModelsLogic(WorkerRunLogic):
    """One change at a time; nothing blocks, and nothing but `installFromUrl` uses the network.

    Each change takes progressCallback, called with its ModelsRun after each report, and finishedCallback, called once when it is
    over; it raises RuntimeError while another one is under way.
    """

    @property
    def isBusy(self) -> bool:
        """Whether a change is under way."""
        return bool(self.runs)

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

    def describe(self, model: InstalledModel, given: Description) -> None:
        """Write into the card of an installed model what the user says of it.

        Raises:
            ValueError: for a model that is part of the extension, or without a license.
            OSError: where the card cannot be written; it is then as it was.
        """
        if model.isBundled:
            raise ValueError(
                _("{model} is part of the extension and says of itself what it is.").format(model=model.card.title)
            )
        if not given.license:
            raise ValueError(_('A model needs a license; write "unknown" where you do not know it.'))
        card = read_card(model.folder)
        channels = [replace(channel, modality=given.modality or channel.modality) for channel in card.channels]
        changed = replace(
            card,
            channels=tuple(channels),
            body_part=given.bodyPart,
            weights_license=given.license,
            description=given.note,
        )
        write_card(changed, model.folder)
        write_text(model.folder / LICENSE_FILE, f"{given.license}\n")

    def importModel(self, path: str, acceptLicense: bool = False, **callbacks: Callable) -> ModelsRun:
        """Add a model package or a network of another program.

        Args:
            path: folder or file; weights without a description are taken with the card NAME.json that lies beside them.
            acceptLicense: the user has read and accepts the license.
            callbacks: see above.
        """
        return self._change("import_model", {"path": path, "accept_license": acceptLicense}, **callbacks)

    def installFromUrl(self, url: str, sha256: str, acceptLicense: bool = False, **callbacks: Callable) -> ModelsRun:
        """Download a model package (a zip with this SHA-256) and add it."""
        return self._change("install_model", {"url": url, "sha256": sha256, "accept_license": acceptLicense}, **callbacks)

    def exportModel(self, model: InstalledModel, target: str, **callbacks: Callable) -> ModelsRun:
        """Write a model as one zip, which `importModel` takes on another computer."""
        return self._change("export_model", {"model": model.name, "target": target}, **callbacks)

    def removeModel(self, model: InstalledModel, **callbacks: Callable) -> ModelsRun:
        """Delete a model that is not part of the extension."""
        return self._change("remove_model", {"model": model.name}, **callbacks)

    def verifyModel(self, model: InstalledModel, **callbacks: Callable) -> ModelsRun:
        """Compare a model's files with the hashes of its card."""
        return self._change("verify_model", {"model": model.name}, **callbacks)

    def suggestNetworks(self, wanted: dict, finishedCallback: Callable[[ModelsRun], None] | None = None) -> ModelsRun:
        """Rank networks to train; nothing of the library changes.

        Args:
            wanted: parameters of the worker's operation "suggest_networks".
            finishedCallback: see above; the answer has "networks" and "caution".
        """
        return self._change("suggest_networks", wanted, finishedCallback=finishedCallback)

    def _change(
        self,
        operation: str,
        parameters: dict,
        progressCallback: Callable[[ModelsRun], None] | None = None,
        finishedCallback: Callable[[ModelsRun], None] | None = None,
    ) -> ModelsRun:
        if self.isBusy:
            raise RuntimeError(_("The library is being changed; wait for it or cancel."))
        run = ModelsRun(self._worker, progressCallback, finishedCallback)
        self._begin(run, operation, parameters, lambda answer: self._deliver(run, answer))
        return run

    def _deliver(self, run: ModelsRun, answer: dict) -> None:
        run.answer = answer
        self._end(run)
