"""Section "About the selected model" of the Models tab: what an imported model's files did not say, to be filled in by the user."""

from collections.abc import Callable

from slicer.i18n import tr as _

from mednextseg.labels.finding import body_part_of, body_parts
from MedNeXtSegmentLib.Models.ModelsLogic import Description, InstalledModel, ModelsLogic

_MODALITIES = ("CT", "MR", "other")


class DescriptionPanel:
    """A form over four fields of a model's card; nothing is written until Save is pressed.

    Args:
        ui: widgets of Models.ui.
        logic: of the library.
        onSaved: called with the model's name and a sentence after its card was written.
        onRefused: called with a sentence where it could not be.
    """

    def __init__(self, ui, logic: ModelsLogic, onSaved: Callable[[str, str], None], onRefused: Callable[[str], None]) -> None:
        self._ui, self._logic, self._onSaved, self._onRefused = ui, logic, onSaved, onRefused
        self._model: InstalledModel | None = None
        ui.modalityComboBox.addItems(list(_MODALITIES))
        ui.bodyPartComboBox.addItems(["", *body_parts()])
        ui.saveDescriptionButton.clicked.connect(lambda *_args: self._save())
        self.show(None)

    def show(self, model: InstalledModel | None) -> None:
        """Fill the form from the model's card, and open it where the card leaves something out."""
        self._model = model
        isOwn = model is not None and not model.isBundled
        for widget in self._fields:
            widget.enabled = isOwn
        self._ui.saveDescriptionButton.enabled = isOwn
        card = None if model is None else model.card
        self._ui.modalityComboBox.setCurrentText(card.channels[0].modality if card is not None and card.channels else "")
        part = "" if card is None else card.body_part or body_part_of([label.name for label in card.labels])
        self._ui.bodyPartComboBox.setCurrentText(part)
        self._ui.licenseEdit.setText("" if card is None else card.weights_license)
        self._ui.noteEdit.setText("" if card is None else card.description)
        missing = self._missing() if isOwn else []
        text = _("This model came without {fields}; fill in what you know and press Save.")
        self._ui.missingLabel.setText(text.format(fields=", ".join(missing)) if missing else "")
        self._ui.missingLabel.setVisible(bool(missing))
        if missing:
            self._ui.descriptionSection.collapsed = False

    @property
    def _fields(self) -> tuple:
        return self._ui.modalityComboBox, self._ui.bodyPartComboBox, self._ui.licenseEdit, self._ui.noteEdit

    def _missing(self) -> list[str]:
        card = self._model.card
        absent = {
            _("a modality"): any(channel.modality == "other" for channel in card.channels),
            _("a body part"): not self._ui.bodyPartComboBox.currentText,
            _("a license"): card.weights_license.startswith("unknown"),
            _("a note"): not card.description,
        }
        return [name for name, isAbsent in absent.items() if isAbsent]

    def _save(self) -> None:
        ui, model = self._ui, self._model
        given = Description(
            ui.modalityComboBox.currentText.strip(),
            ui.bodyPartComboBox.currentText.strip(),
            ui.licenseEdit.text.strip(),
            ui.noteEdit.text.strip(),
        )
        try:
            self._logic.describe(model, given)
        except (ValueError, OSError) as error:
            self._onRefused(str(error))
            return
        self._onSaved(model.name, _("The card of {model} was written.").format(model=model.card.title))
