"""The Models tab lists what is installed, verifies it and removes it."""

import json
from pathlib import Path

import pytest

from library_tools import ended, namesShown, ranOn
from panel_tools import addVolume


def test_the_tab_lists_every_model_with_size_and_place(widget, library, home: Path) -> None:
    assert [widget.panel.tabs.tabText(n) for n in range(widget.panel.tabs.count)][-1] == "Models"
    assert str(home / "models") in library.ui.libraryPathLabel.text
    table = library.ui.modelsTable
    rows = {table.item(row, 0).text(): [table.item(row, column).text() for column in (1, 2)] for row in range(table.rowCount)}
    size = sum(path.stat().st_size for path in (home / "models" / "tiny").iterdir())
    assert rows["Tiny head model"] == ["1.0.0", f"{size / 1e6:.1f} MB"]
    library.select("tiny@1.0.0")
    assert library.ui.folderLabel.text == str(home / "models" / "tiny")
    bundled = next(model for model in library._models if model.isBundled)
    library.select(bundled.name)
    assert "part of the extension" in library.ui.folderLabel.text
    assert not library.ui.removeButton.enabled and "part of the extension" in library.ui.removeButton.toolTip
    assert library.ui.verifyButton.enabled and library.ui.exportButton.enabled


def test_remove_asks_in_the_panel_and_then_deletes(host, widget, library, home: Path) -> None:
    panel = widget.panel.segment
    panel._parameterNode.modelId = "tiny"
    ranOn(host, widget, addVolume())  # the worker has it open
    library.select("tiny@1.0.0")
    library.ui.removeButton.click()
    assert library.ui.removeButton.text == "Delete" and "Tiny head model 1.0.0" in library.ui.statusLabel.text
    library.select("two@1.0.0")  # thought better of it
    assert library.ui.removeButton.text == "Remove" and library.ui.statusLabel.text == ""
    assert (home / "models" / "tiny").is_dir()
    library.select("tiny@1.0.0")
    library.ui.removeButton.click()
    library.ui.removeButton.click()
    assert "Tiny head model 1.0.0 was deleted." in ended(host, library)
    assert not (home / "models" / "tiny").exists() and (home / "models" / "two").is_dir()
    assert "tiny@1.0.0" not in namesShown(library)
    assert not panel.ui.applyButton.enabled and "not installed" in panel.ui.modelCardBrowser.toPlainText()


def test_verify_tells_an_altered_file_from_a_whole_one(host, library, home: Path) -> None:
    library.select("tiny@1.0.0")
    library.ui.verifyButton.click()
    assert ended(host, library) == "The files of Tiny head model are those of its card."
    weights = home / "models" / "tiny" / "weights.safetensors"
    altered = bytearray(weights.read_bytes())
    altered[-5] ^= 1
    weights.write_bytes(altered)
    library.ui.verifyButton.click()
    assert "weights.safetensors is truncated or altered" in ended(host, library)
    library.choosePath = lambda kind, suggestedName="": str(home / suggestedName)
    library.ui.exportButton.click()
    assert "damaged" in ended(host, library) and not list(home.glob("*.zip*"))


def test_networks_to_train_are_suggested_on_the_console(representation, tmp_path: Path) -> None:
    logic, recipe = representation.self().logic, tmp_path / "recipe.json"
    answer = logic.suggestNetworks(0.5, labels=2, patchIJK=(32, 32, 48), recipe=recipe).answer
    best = answer["networks"][0]
    assert len(answer["networks"]) == 5 and best["training_gb"] <= 0.5 and "not a measurement" in answer["caution"]
    written = json.loads(recipe.read_text())
    assert written["base_channels"] == best["base_channels"] and written["patch_size_kji"] == [48, 32, 32]
    for limits, sentence in (
        ({"memoryGb": 0.001}, "no MedNeXt fits within these limits"),
        ({"memoryGb": 8, "patchIJK": (90, 90, 90)}, "three multiples of 16"),
        ({"memoryGb": 8, "labels": 0}, "label_count must be a whole number from 1 on"),
        ({"memoryGb": -1}, "a finite number above 0"),
    ):
        with pytest.raises((RuntimeError, ValueError), match=sentence):
            logic.suggestNetworks(**limits)
