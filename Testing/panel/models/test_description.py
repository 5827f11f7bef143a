"""An imported model whose files say little gets a form to fill, and what is written there is on its card."""

from pathlib import Path

from mednextseg.models.model_card import card_from_dict, read_card, write_card


def test_a_form_asks_for_what_a_card_leaves_out_and_writes_it(library, home: Path) -> None:
    ui, folder = library.ui, home / "models" / "tiny"
    card = read_card(folder).to_dict()
    channels = [{**card["channels"][0], "modality": "other"}]
    write_card(card_from_dict({**card, "description": "", "weights_license": "unknown: ask", "channels": channels}), folder)
    library.reload()
    assert ui.descriptionSection.collapsed and not ui.saveDescriptionButton.enabled
    library.select("tiny@1.0.0")
    assert not ui.descriptionSection.collapsed
    assert "without a modality, a body part, a license, a note" in ui.missingLabel.text
    ui.modalityComboBox.setCurrentText("MR")
    ui.bodyPartComboBox.setCurrentText("head")
    ui.licenseEdit.setText("")
    ui.noteEdit.setText("Both halves.")
    ui.saveDescriptionButton.click()
    assert "needs a license" in ui.statusLabel.text and not read_card(folder).body_part
    ui.licenseEdit.setText("CC-BY-4.0")
    ui.saveDescriptionButton.click()
    written = read_card(folder)
    assert (written.channels[0].modality, written.body_part) == ("MR", "head")
    assert (written.weights_license, written.description) == ("CC-BY-4.0", "Both halves.")
    assert (folder / "LICENSE").read_text() == "CC-BY-4.0\n"
    assert ui.statusLabel.text == "The card of Tiny head model was written." and library.selected.card == written
    assert ui.missingLabel.text == "" and ui.noteEdit.text == "Both halves."


def test_a_model_of_the_extension_cannot_be_written_to(library) -> None:
    library.select(next(model for model in library._models if model.isBundled).name)
    assert library.ui.licenseEdit.text and not library.ui.licenseEdit.enabled
    assert not library.ui.saveDescriptionButton.enabled and library.ui.missingLabel.text == ""
