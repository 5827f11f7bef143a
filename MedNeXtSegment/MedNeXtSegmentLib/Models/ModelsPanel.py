"""The Models tab: what is installed, and the ways in and out of the library. Only the license and file choosers pop up."""

from collections.abc import Callable
from functools import partial

import qt
import slicer
from slicer.i18n import tr as _

from mednextseg.models.library import package_folder_name
from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Models.CataloguePanel import CataloguePanel
from MedNeXtSegmentLib.Models.DescriptionPanel import DescriptionPanel
from MedNeXtSegmentLib.Models.ModelsLogic import InstalledModel, ModelsLogic
from MedNeXtSegmentLib.Models.ModelsRun import ModelsRun
from MedNeXtSegmentLib.Widgets.FileDialogs import pathFrom
from MedNeXtSegmentLib.Widgets.Tables import asChoice
from MedNeXtSegmentLib.Widgets.Texts import durationText, sizeText

_BAR_STEPS = 1000
_TABLE_HEIGHT_PX = 180
_SHA256_DIGITS = 64


class ModelsPanel:
    """Shows the Models tab and makes its changes to the library.

    Args:
        widget: loaded from Models.ui.
        logic: of the library.
        onChanged: called after the library has changed, with the id of a model that came in, else with "".

    Attributes:
        run: the change under way, None where there is none.
    """

    def __init__(self, widget, logic: ModelsLogic, onChanged: Callable[[str], None]) -> None:
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic, self._onChanged = logic, onChanged
        self._models: list[InstalledModel] = []
        self._toBeRemoved = ""
        self.run: ModelsRun | None = None
        table = self.ui.modelsTable
        asChoice(table, [_("Model"), _("Version"), _("Size")], _TABLE_HEIGHT_PX)
        table.itemSelectionChanged.connect(self._onSelected)
        self.catalogue = CataloguePanel(self.ui)
        self.description = DescriptionPanel(
            self.ui, logic, lambda name, text: self._showEnd(text, name), self.ui.statusLabel.setText
        )
        self.ui.progressBar.setMaximum(_BAR_STEPS)
        for button, action in (
            (self.ui.importFileButton, lambda: self._import("file")),
            (self.ui.importFolderButton, lambda: self._import("folder")),
            (self.ui.exportButton, self._export),
            (self.ui.verifyButton, self._verify),
            (self.ui.removeButton, self._remove),
            (self.ui.openFolderButton, self._openFolder),
            (self.ui.installButton, self._install),
            (self.ui.cancelButton, self._cancel),
        ):
            button.clicked.connect(lambda *_args, action=action: action())
        for edit in (self.ui.urlEdit, self.ui.sha256Edit):
            edit.textChanged.connect(lambda *_args: self._updateButtons())
        self.reload()

    @property
    def selected(self) -> InstalledModel | None:
        """The model of the selected row."""
        row = self.ui.modelsTable.currentRow()
        return self._models[row] if 0 <= row < len(self._models) else None

    def select(self, name: str) -> None:
        """Select a model by id@version; an unknown one selects none."""
        rows = [row for row, model in enumerate(self._models) if model.name == name]
        self.ui.modelsTable.setCurrentCell(rows[0] if rows else -1, 0)

    def reload(self) -> None:
        """Read the library again."""
        self._models = self.logic.models()
        self.ui.libraryPathLabel.setText(_("Library: {folder}").format(folder=self.logic.folder))
        table = self.ui.modelsTable
        table.setRowCount(len(self._models))
        for row, model in enumerate(self._models):
            for column, text in enumerate((model.card.title, model.card.version, sizeText(model.sizeBytes))):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(f"{model.card.title}\n{model.folder}")
                table.setItem(row, column, item)
        self._updateButtons()

    def enter(self) -> None:
        """The module was opened: models may have been installed meanwhile."""
        if not self.logic.isBusy:
            self.reload()

    def close(self) -> None:
        """Stop what is under way."""
        if self.run is not None:
            self.logic.abandon(self.run)

    def choosePath(self, kind: str, suggestedName: str = "") -> str:
        """Let the user choose a path.

        Args:
            kind: "file" or "folder" to import, "export" for the zip to write.
            suggestedName: of that zip.
        Returns:
            The path; empty where the user chose none.
        """
        titles = {"file": _("Import model"), "folder": _("Import model folder"), "export": _("Export model")}
        dialog = qt.QFileDialog(self.ui.modelsTable.window(), titles[kind])
        if kind == "file":
            dialog.setFileMode(qt.QFileDialog.ExistingFile)
            dialog.setNameFilter(_("Models (*.zip *.pth *.pt *.model *.safetensors *.pkl *.json *.csv);;All files (*)"))
        elif kind == "folder":
            dialog.setFileMode(qt.QFileDialog.Directory)
            dialog.setOption(qt.QFileDialog.ShowDirsOnly, True)
        else:
            dialog.setAcceptMode(qt.QFileDialog.AcceptSave)
            dialog.setNameFilter(_("Model package (*.zip)"))
            dialog.setDefaultSuffix("zip")
            dialog.selectFile(suggestedName)
        return pathFrom(dialog)

    def askToAcceptLicense(self, text: str) -> bool:
        """Show the license of weights; whether the user accepts it."""
        box = qt.QMessageBox(self.ui.modelsTable.window())
        box.setWindowTitle(_("License of the weights"))
        box.setText(_("The license of these weights may restrict their use. Do you accept it?"))
        box.setInformativeText(text.splitlines()[0])
        box.setDetailedText(text)
        box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Cancel)
        box.setDefaultButton(qt.QMessageBox.Cancel)
        box.button(qt.QMessageBox.Ok).setText(_("Accept"))
        answer = box.exec_()
        box.deleteLater()
        return answer == qt.QMessageBox.Ok

    def _import(self, kind: str) -> None:
        path = self.choosePath(kind)
        if path:
            self._bringIn(partial(self.logic.importModel, path))

    def _install(self) -> None:
        url, sha256 = self.ui.urlEdit.text.strip(), self.ui.sha256Edit.text.strip()
        self._bringIn(partial(self.logic.installFromUrl, url, sha256))

    def _bringIn(self, change: Callable[..., ModelsRun], isAccepted: bool = False) -> None:
        """Ask for a model; where its license has to be accepted first, show it and ask once more."""

        def onDone(value: dict) -> None:
            if "license_text" not in value:
                name = f"{value['model']}@{value['version']}"
                done = _("{model} {version} is installed.").format(model=value["model"], version=value["version"])
                self._showEnd(" ".join([done, *value["notes"]]), name, value["model"])
            elif self.askToAcceptLicense(value["license_text"]):
                self._bringIn(change, isAccepted=True)
            else:
                self._showEnd(_("The license was not accepted, so the model was not installed."))

        self._start(partial(change, acceptLicense=isAccepted), onDone)

    def _export(self) -> None:
        model = self.selected
        path = self.choosePath("export", f"{package_folder_name(model.card.id, model.card.version)}.zip")
        if path:

            def onDone(value: dict) -> None:
                text = _("Exported to {file} (SHA-256 {sha256}).")
                self._showEnd(text.format(file=value["file"], sha256=value["sha256"]), model.name)

            self._start(partial(self.logic.exportModel, model, path), onDone)

    def _verify(self) -> None:
        model = self.selected

        def onDone(value: dict) -> None:
            whole = _("The files of {model} are those of its card.").format(model=model.card.title)
            damaged = _("{model} is damaged: {problems}; install it again.")
            problems = "; ".join(value["problems"])
            self._showEnd(damaged.format(model=model.card.title, problems=problems) if problems else whole, model.name)

        self._start(partial(self.logic.verifyModel, model), onDone)

    def _remove(self) -> None:
        """The first click tells what would be deleted, the second one deletes it: a question without a pop-up."""
        model = self.selected
        if self._toBeRemoved != model.name:
            self._toBeRemoved = model.name
            text = _("Press Delete to delete {model} {version} ({size}) from this computer.")
            size = sizeText(model.sizeBytes)
            self.ui.statusLabel.setText(text.format(model=model.card.title, version=model.card.version, size=size))
            self._updateButtons()
            return
        done = _("{model} {version} was deleted.").format(model=model.card.title, version=model.card.version)
        self._start(partial(self.logic.removeModel, model), lambda _answer: self._showEnd(done))

    def _openFolder(self) -> None:
        self.logic.folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.logic.folder)))

    def _start(self, change: Callable[..., ModelsRun], onDone: Callable[[dict], None]) -> None:
        """Begin a change; onDone is called with the worker's answer."""
        self._toBeRemoved = ""
        self.ui.progressBar.setMaximum(0)  # busy, until the worker says how far it is
        self.ui.statusLabel.setText("")
        self.ui.cancelButton.enabled = True

        def onFinished(run: ModelsRun) -> None:
            self.run = None
            if run.error is None:
                onDone(run.answer)
            else:
                self._showEnd(str(run.error), self.selected.name if self.selected is not None else "")

        try:
            self.run = change(progressCallback=lambda run: self._showProgress(run.progress), finishedCallback=onFinished)
        except (ValueError, RuntimeError) as error:
            self.ui.statusLabel.setText(str(error))
        self._updateButtons()

    def _cancel(self) -> None:
        self.ui.cancelButton.enabled = False
        self.ui.statusLabel.setText(_("Cancelling..."))
        if self.run is not None:
            self.run.cancel()

    def _showProgress(self, progress: Progress) -> None:
        self.ui.progressBar.setMaximum(_BAR_STEPS if progress.fraction > 0 else 0)
        self.ui.progressBar.setValue(round(_BAR_STEPS * progress.fraction))
        text = phaseText(progress.phase)
        if progress.seconds_left is not None:
            text = _("{phase}, about {left} left").format(phase=text, left=durationText(progress.seconds_left))
        self.ui.statusLabel.setText(text)

    def _showEnd(self, text: str, selectedName: str = "", newModelId: str = "") -> None:
        self.reload()
        self.select(selectedName)
        self.description.show(self.selected)
        self.ui.statusLabel.setText(text)
        self._onChanged(newModelId)

    def _onSelected(self) -> None:
        if self._toBeRemoved:
            self._toBeRemoved = ""
            self.ui.statusLabel.setText("")
        self.description.show(self.selected)
        self._updateButtons()

    def _updateButtons(self) -> None:
        """Only what can be done now is enabled; tooltips say what is missing."""
        model, isFree = self.selected, not self.logic.isBusy
        isUrlComplete = bool(self.ui.urlEdit.text.strip()) and len(self.ui.sha256Edit.text.strip()) == _SHA256_DIGITS
        for button in (self.ui.importFileButton, self.ui.importFolderButton):
            button.enabled = isFree
        for button in (self.ui.exportButton, self.ui.verifyButton):
            button.enabled = isFree and model is not None
        self.ui.removeButton.enabled = isFree and model is not None and not model.isBundled
        isArmed = model is not None and self._toBeRemoved == model.name
        self.ui.removeButton.setText(_("Delete") if isArmed else _("Remove"))
        isBundled = model is not None and model.isBundled
        tip = _("This model is part of the extension.") if isBundled else _("Delete the selected model from this computer.")
        self.ui.removeButton.setToolTip(tip)
        place = _("{folder} (part of the extension)") if isBundled else "{folder}"
        self.ui.folderLabel.setText(place.format(folder=model.folder) if model is not None else _("Select a model."))
        self.ui.installButton.enabled = isFree and isUrlComplete
        ready = _("Download the model and install it; the network is not used unless you press this button.")
        self.ui.installButton.setToolTip(ready if isUrlComplete else _("Enter the address of a zip and its SHA-256."))
        self.ui.progressBar.setVisible(not isFree)
        self.ui.cancelButton.setVisible(not isFree)


def phaseText(phase: str) -> str:
    """The worker's phase in the user's words."""
    texts = {
        "import": _("Importing..."),
        "download": _("Downloading..."),
        "export": _("Exporting..."),
        "remove": _("Deleting..."),
        "verify": _("Verifying..."),
    }
    return texts.get(phase, phase)
