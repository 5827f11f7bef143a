"""Networks of other programs come in by a click and run; what is hostile or damaged changes nothing."""

import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from nnunet_folders import v1_folder

from library_tools import emptied, ended, filesOf, importedFrom, namesShown, ranOn, writeStateDictWithCard
from mednextseg import load_model, segment
from mednextseg.models.library import sha256_of
from mednextseg.segment.progress import Progress
from MedNeXtSegmentLib.Scene.Volumes import arrayAndGeometryFromVolume
from panel_tools import addVolume, segmentNames, voxelsOf


def test_plain_weights_with_a_card_are_in_the_list_at_once_and_run(host, widget, library, tmp_path: Path) -> None:
    assert "mine 2.1 is installed" in importedFrom(host, library, writeStateDictWithCard(tmp_path / "source"))
    panel = widget.panel.segment
    listed = [panel.model._modelIdAt(row) for row in range(panel.ui.modelList.count)]
    assert "mine" in listed and panel._parameterNode.modelId == "mine"
    for word in ("My own network", "cortex, medulla", "for use in our clinic only"):
        assert word in panel.ui.modelCardBrowser.toPlainText() or word in panel.ui.modelList.currentItem().text()
    assert library.selected.name == "mine@2.1"
    volume = addVolume()
    node = ranOn(host, widget, volume)
    assert segmentNames(node) == ["cortex", "medulla"]
    array, geometry = arrayAndGeometryFromVolume(volume)
    expected = segment(array, geometry, load_model("mine"), device="cpu")[0]
    for value, name in enumerate(("cortex", "medulla"), start=1):
        assert np.array_equal(voxelsOf(node, name, volume), expected == value)
        assert (expected == value).any()


def test_an_official_nnunet_folder_imports_from_the_tasks_level_and_runs(
    host, widget, library, golden: Path, tmp_path: Path
) -> None:
    """That its labels are those of the official program is a test of the engine (test_importers_nnunet.py)."""
    sys.path.insert(0, str(golden))
    import make_checkpoints

    sys.path.remove(str(golden))
    checkpoint = make_checkpoints.complete(tmp_path)[0]
    text = importedFrom(host, library, checkpoint.parents[2])
    assert "is installed" in text, text
    card = widget.panel.segment.model.card
    assert card.id == library.selected.card.id
    assert checkpoint.parents[2].name.split("_")[-1].lower() in card.id and [c.modality for c in card.channels] == ["CT"]
    volume = addVolume("CT")
    node = ranOn(host, widget, volume)
    assert segmentNames(node) == [label.name for label in card.labels]
    assert any(voxelsOf(node, label.name, volume).any() for label in card.labels)


def test_a_zipped_results_folder_imports_and_shows_how_far_it_is(host, library, tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path / "results", folds=2)
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", trainer.parent)
    shown: list[tuple[str, float]] = []
    showProgress = library._showProgress

    def recorded(progress: Progress) -> None:
        showProgress(progress)
        shown.append((progress.phase, progress.fraction))

    library._showProgress = recorded
    assert "is installed" in importedFrom(host, library, Path(archive))
    assert {phase for phase, _ in shown} == {"import"}
    fractions = [fraction for _, fraction in shown]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
    assert len(library.selected.card.weights_sha256) == 2


def test_a_cancelled_import_leaves_nothing_behind(host, library, home: Path, tmp_path: Path) -> None:
    trainer = v1_folder(tmp_path / "results", folds=3)
    before, shown = filesOf(home), namesShown(library)
    library.choosePath = lambda kind, suggestedName="": str(trainer)
    library.ui.importFolderButton.click()
    library.ui.cancelButton.click()
    assert "cancelled" in ended(host, library)
    assert filesOf(home) == before and namesShown(library) == shown


class RunsCode:
    """Pickled, a call of os.system."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self):
        return os.system, (self._command,)


def hostileFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "hostile").with_suffix(".pth")
    path.write_bytes(pickle.dumps({"state_dict": RunsCode(f"touch {folder / 'was-here'}")}))
    return path


def truncatedFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "truncated")
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def undescribedFile(folder: Path) -> Path:
    path = writeStateDictWithCard(folder / "undescribed")
    path.with_suffix(".json").unlink()
    return path


def truncatedZip(folder: Path) -> Path:
    path = folder / "package.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    return path


def emptyFolder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


@pytest.mark.parametrize("make", [hostileFile, truncatedFile, undescribedFile, truncatedZip, emptyFolder])
def test_what_cannot_be_imported_is_one_sentence_and_changes_nothing(
    host, widget, library, home: Path, tmp_path: Path, make
) -> None:
    before, shown, chosen = filesOf(home), namesShown(library), widget.panel.segment._parameterNode.modelId
    text = importedFrom(host, library, make(tmp_path))
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and "log" not in text, text
    assert "--" not in text, text  # options of the command line help nobody here
    assert not (tmp_path / "was-here").exists()
    assert filesOf(home) == before and namesShown(library) == shown
    assert widget.panel.segment._parameterNode.modelId == chosen
    assert library.ui.importFileButton.enabled


def test_a_model_exported_here_imports_on_a_clean_computer_after_its_license(
    host, widget, library, home: Path, tmp_path: Path
) -> None:
    importedFrom(host, library, writeStateDictWithCard(tmp_path / "source"))
    weights = sha256_of(home / "models" / "mine-2.1" / "weights.safetensors")
    archive = tmp_path / "mine-2.1.zip"
    library.choosePath = lambda kind, suggestedName="": str(tmp_path / suggestedName)
    library.ui.exportButton.click()
    text = ended(host, library)
    assert sha256_of(archive) in text
    emptied(home)  # the other computer: the archive is all it gets
    library.enter()
    widget.panel.segment.enter()
    assert "mine@2.1" not in namesShown(library)
    asked: list[str] = []

    def refuse(text: str) -> bool:
        asked.append(text)
        return False

    library.askToAcceptLicense = refuse
    assert "was not accepted" in importedFrom(host, library, archive)
    assert "mine@2.1" not in namesShown(library)
    library.askToAcceptLicense = lambda text: asked.append(text) or True
    assert "mine 2.1 is installed" in importedFrom(host, library, archive)
    assert len(asked) == 2 and all(text.startswith("for use in our clinic only") for text in asked)
    assert sha256_of(home / "models" / "mine-2.1" / "weights.safetensors") == weights
    assert widget.panel.segment.model.card.title == "My own network"
    assert segmentNames(ranOn(host, widget, addVolume())) == ["cortex", "medulla"]
