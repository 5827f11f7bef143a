"""Zipped results folders import as the folders do; an import reports how far it is, and stops when asked."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from nnunet_folders import tiny, v1_folder, v2_folder
from tiny_models import tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.errors import Cancelled
from mednextseg.models.importers import import_model
from mednextseg.models.install.installation import export_model, is_package
from mednextseg.models.library import find_model, library_folder, sha256_of

LABELS = {"background": 0, "a": 1, "b": 2}


def zipped(folder: Path, archive: Path) -> Path:
    return Path(shutil.make_archive(str(archive.with_suffix("")), "zip", folder.parent, folder.name))


def left_in_library() -> list[Path]:
    return list(library_folder().iterdir()) if library_folder().exists() else []


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_zip_of_any_level_gives_the_model_of_the_folder(version: str, tmp_path: Path) -> None:
    root = tmp_path / "results"
    trainer = v1_folder(root, folds=2) if version == "v1" else v2_folder(root, LABELS, 3)
    (trainer / "fold_0" / "validation").mkdir()
    (trainer / "fold_0" / "validation" / "case.nii.gz").write_bytes(b"not needed")
    expected = import_model(trainer, model_id="folder").card
    for number, level in enumerate((root, trainer.parent, trainer)):
        card = import_model(zipped(level, tmp_path / "level.zip"), model_id=f"zip-{number}").card
        assert card.weights_sha256 == expected.weights_sha256
        assert card.component_rules == expected.component_rules and card.patch_size_kji == expected.patch_size_kji
        if level is not trainer:  # inside the trainer's folder nothing names the task
            assert card.title == expected.title
    assert sorted(path.name for path in left_in_library()) == ["folder-1.0.0", *(f"zip-{n}-1.0.0" for n in range(3))]


def test_a_zip_of_weights_and_their_card_imports(tmp_path: Path) -> None:
    package = write_package(tmp_path / "made", tiny_mednext(), ("a", "b"))
    card = json.loads((package / "card.json").read_text())
    source = tmp_path / "source"
    source.mkdir()
    torch.save(tiny_mednext().state_dict(), source / "mine.pth")
    (source / "mine.json").write_text(json.dumps({**card, "id": "mine"}))
    archive = zipped(source, tmp_path / "mine.zip")
    assert not is_package(archive)
    assert import_model(archive).card.id == "mine"
    assert is_package(export_model("mine", tmp_path / "package.zip"))
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as packed:
        packed.write(archive.parent / "source" / "mine.pth", "weights.pth")
        packed.writestr("weights.json", json.dumps({**card, "id": "from-a-mac"}))
        packed.writestr("__MACOSX/._weights.pth", b"\x00\x05\x16\x07")
    assert import_model(tmp_path / "mac.zip").card.id == "from-a-mac"


def test_the_command_line_takes_zips_of_both_kinds(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    archive = zipped(v2_folder(tmp_path / "results", LABELS, 3), tmp_path / "results.zip")
    assert main(["models", "import", str(archive), "--id", "mine", "--sha256", "0" * 64]) == 1
    assert "its SHA-256 differs" in capsys.readouterr().err and left_in_library() == []
    assert main(["models", "import", str(archive), "--id", "mine", "--sha256", sha256_of(archive)]) == 0
    assert find_model("mine").is_dir()


def test_several_models_in_a_zip_are_refused(tmp_path: Path) -> None:
    v1_folder(tmp_path / "results" / "a")
    v1_folder(tmp_path / "results" / "b")
    with pytest.raises(ValueError, match="holds 2 trained models") as refusal:
        import_model(zipped(tmp_path / "results", tmp_path / "two.zip"))
    assert ".unpacking-" not in str(refusal.value) and "two.zip" in str(refusal.value)
    assert left_in_library() == []


def test_hostile_and_empty_zips_change_nothing(tmp_path: Path) -> None:
    archives = {}
    for name, entry in (("slip", "../outside.json"), ("absolute", "/tmp/outside.json"), ("empty", "readme.txt")):
        archives[name] = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(archives[name], "w") as packed:
            packed.writestr(entry, b"{}")
    archives["bomb"] = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archives["bomb"], "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("fold_0/checkpoint_final.pth", bytes(80_000_000))
    archives["truncated"] = tmp_path / "truncated.zip"
    archives["truncated"].write_bytes(archives["bomb"].read_bytes()[:5000])
    reasons = {
        "slip": "leads out",
        "absolute": "leads out",
        "empty": r"empty\.zip holds no known model",
        "bomb": "no model package does",
        "truncated": "truncated or not a whole zip",
    }
    for name, archive in archives.items():
        with pytest.raises(ValueError, match=reasons[name]) as refusal:
            import_model(archive)
        assert "\n" not in str(refusal.value) and left_in_library() == []
    assert not (tmp_path.parent / "outside.json").exists() and not Path("/tmp/outside.json").exists()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_import_tells_how_far_it_is_and_stops_when_asked(kind: str, tmp_path: Path) -> None:
    source = v1_folder(tmp_path / "results", folds=3)
    source = source if kind == "folder" else zipped(source, tmp_path / "results.zip")
    seen: list[float] = []
    import_model(source, model_id="whole", report=seen.append)
    assert seen == sorted(seen) and len(seen) >= 7 and 0 <= seen[0] and seen[-1] < 1
    for stop_at in (seen[0], seen[len(seen) // 2], seen[-1]):

        def report(fraction: float, stop_at: float = stop_at) -> None:
            if fraction >= stop_at:
                raise Cancelled("stopped")

        with pytest.raises(Cancelled):
            import_model(source, model_id="stopped", report=report)
        assert [path.name for path in left_in_library()] == ["whole-1.0.0"]


def test_a_card_beside_the_weights_is_taken_and_other_json_is_not(tmp_path: Path) -> None:
    package = write_package(tmp_path / "made", tiny_mednext(), ("a", "b"))
    weights = tmp_path / "w.pth"
    torch.save({"network_weights": tiny(3)}, weights)  # of nnU-Net v2, without its plans
    (tmp_path / "w.json").write_text(json.dumps({"epochs": 5}))
    with pytest.raises(ValueError, match=r"plans\.json is missing"):
        import_model(weights)
    card = {**json.loads((package / "card.json").read_text()), "id": "beside"}
    (tmp_path / "w.json").write_text(json.dumps(card))
    assert import_model(weights).card.id == "beside"
