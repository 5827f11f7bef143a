"""Installing, exporting and removing models: nothing half-done, nothing outside the library, nothing without being asked."""

import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import copy_with

from mednextseg.errors import Cancelled
from mednextseg.models.install.installation import export_model, install, remove_model, size_bytes
from mednextseg.models.install.licenses import LicenseNotAcceptedError
from mednextseg.models.install.package_zip import unpack_zip
from mednextseg.models.library import find_model, installed_models, library_folder, sha256_of
from mednextseg.models.model_card import read_card


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def zipped(entries: dict[str, bytes], archive: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(archive, "w", compression) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return archive


def test_a_model_exported_here_installs_on_a_machine_without_network(
    package: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = export_model(install(package), tmp_path)
    assert archive.name == "tiny-net-1.0.0.zip" and not list(tmp_path.glob(".mednextseg-*"))
    monkeypatch.setenv("MEDNEXTSEG_HOME", str(tmp_path / "other machine"))
    monkeypatch.setattr("urllib.request.build_opener", lambda *a, **k: pytest.fail("no network was asked for"))
    folder = install(archive, sha256=sha256_of(archive))
    assert find_model("tiny-net") == folder and read_card(folder) == read_card(package)
    assert size_bytes(folder) == size_bytes(package)
    assert everything(library_folder()) == everything(home / "models")


def test_versions_live_side_by_side_and_leave_one_by_one(package: Path, tmp_path: Path) -> None:
    install(package)
    for version in ("1.9.0", "1.10.0"):
        install(copy_with(package, tmp_path / version, version=version))
    assert read_card(installed_models()["tiny-net"]).version == "1.10.0"
    assert read_card(find_model("tiny-net@1.9.0")).version == "1.9.0"
    with pytest.raises(ValueError, match=r"no version 3; |there is no version 3 of tiny-net; installed: "):
        find_model("tiny-net@3")
    remove_model("tiny-net")
    assert read_card(find_model("tiny-net")).version == "1.9.0"
    remove_model("tiny-net@1.0.0")
    remove_model("tiny-net")
    assert "tiny-net" not in installed_models() and everything(library_folder()) == []


def test_bundled_models_and_folders_elsewhere_are_not_removed(package: Path) -> None:
    with pytest.raises(ValueError, match="not in the library"):
        remove_model(str(package))
    assert package.is_dir()
    for model_id in installed_models():
        with pytest.raises(ValueError, match="part of the extension"):
            remove_model(model_id)


def hostile_zips(package: Path) -> dict[str, tuple[Callable[[Path], Path], str]]:
    files = {f"tiny-net/{file.name}": file.read_bytes() for file in package.iterdir()}

    def link(archive: Path) -> Path:
        entry = zipfile.ZipInfo("tiny-net/LICENSE")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped(files, archive)
        with zipfile.ZipFile(archive, "a") as packed:
            packed.writestr(entry, "/etc/passwd")
        return archive

    def truncated(archive: Path) -> Path:
        whole = zipped(files, archive).read_bytes()
        archive.write_bytes(whole[: len(whole) // 2])
        return archive

    def flipped(archive: Path) -> Path:
        data = bytearray(zipped(files, archive).read_bytes())
        data[len(data) // 2] ^= 0xFF
        archive.write_bytes(data)
        return archive

    def bomb(archive: Path) -> Path:
        return zipped({**files, "tiny-net/notes.txt": bytes(60_000_000)}, archive, zipfile.ZIP_DEFLATED)

    return {
        "slip": (lambda a: zipped({**files, "../outside": b"x"}, a), "leads out of its folder"),
        "hidden slip": (lambda a: zipped({**files, "tiny-net/../../outside": b"x"}, a), "leads out of its folder"),
        "absolute": (lambda a: zipped({**files, "/tmp/outside": b"x"}, a), "leads out of its folder"),
        "windows": (lambda a: zipped({**files, "C:/outside": b"x"}, a), "leads out of its folder"),
        "backslash": (lambda a: _with_backslash(zipped({**files, "tiny-net/..#outside": b"x"}, a)), "leads out of its folder"),
        "link": (link, "holds the link"),
        "bomb": (bomb, "no model package does"),
        "many": (lambda a: zipped({**files, **{f"n/{n}": b"" for n in range(300)}}, a), "more than a model package has"),
        "same name": (lambda a: zipped({**files, "tiny-net/CARD.json": b"{}"}, a), "two files of the same name"),
        "truncated": (truncated, "truncated or not a whole zip"),
        "flipped": (flipped, "truncated or not a whole zip|is damaged"),
        "no card": (lambda a: zipped({"readme.txt": b"hello"}, a), "no model package"),
        "not a zip": (lambda a: (a.write_bytes(b"<html></html>"), a)[1], "truncated or not a whole zip"),
        "altered weights": (lambda a: zipped({**files, "tiny-net/weights.safetensors": b"x" * 99}, a), "is damaged"),
        "broken card": (lambda a: zipped({**files, "tiny-net/card.json": b"{"}, a), "not valid JSON"),
    }


def _with_backslash(archive: Path) -> Path:
    archive.write_bytes(archive.read_bytes().replace(b"..#outside", b"..\\outside"))
    return archive


@pytest.mark.parametrize(
    "kind",
    (
        "slip,hidden slip,absolute,windows,backslash,link,bomb,many,same name,truncated,flipped,no card,not a zip,altered weights,"
        "broken card"
    ).split(","),
)
def test_hostile_and_damaged_zips_get_one_sentence_and_change_nothing(kind: str, package: Path, tmp_path: Path) -> None:
    make, sentence = hostile_zips(package)[kind]
    archive = make(tmp_path / "hostile.zip")
    library_folder().mkdir(parents=True)
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=sentence) as refusal:
        install(archive)
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")
    assert everything(tmp_path) == before and not (tmp_path.parent / "outside").exists() and not Path("/tmp/outside").exists()


@settings(max_examples=30)
@given(name=st.text(st.sampled_from("ab./\\:"), min_size=1, max_size=12))
def test_no_name_in_a_zip_leads_out_of_the_folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("unpack")
    (root / "in").mkdir()
    archive = zipped({name: b"x", "card.json": b"{}"}, root / "a.zip")
    try:
        unpack_zip(archive, root / "in")
    except (ValueError, OSError):
        pass
    assert {path.name for path in root.iterdir()} == {"in", "a.zip"}


def test_folders_with_links_wrong_hashes_or_no_card_are_refused(package: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    shutil.copytree(package, linked)
    (linked / "more").symlink_to("/etc")
    with pytest.raises(ValueError, match="holds the link 'more'"):
        install(linked)
    damaged = tmp_path / "damaged"
    shutil.copytree(package, damaged)
    with (damaged / "weights.safetensors").open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(ValueError, match="SHA-256"):
        install(damaged)
    with pytest.raises(ValueError, match=r"no card\.json"):
        install(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no"):
        install(tmp_path / "nowhere")
    archive = export_model(package, tmp_path / "a.zip")
    with pytest.raises(ValueError, match="its SHA-256 differs"):
        install(archive, sha256="0" * 64)
    assert everything(library_folder()) == []
    install(archive)
    with pytest.raises(ValueError, match="installed already"):
        install(archive)


def test_a_restricting_license_is_accepted_once(package: Path, tmp_path: Path) -> None:
    limited = copy_with(package, tmp_path / "limited", weights_license="CC BY-NC 4.0")
    (limited / "LICENSE").write_text("Not for commerce.\n")
    with pytest.raises(LicenseNotAcceptedError, match="read the license and accept it") as refusal:
        install(limited)
    assert "Not for commerce." in refusal.value.text and installed_models().get("tiny-net") is None
    install(limited, accept_license=True)
    remove_model("tiny-net")
    install(limited)  # the same words need no second consent
    remove_model("tiny-net")
    (limited / "LICENSE").write_text("Not for commerce, nor on Sundays.\n")
    with pytest.raises(LicenseNotAcceptedError):
        install(limited)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_local_installation_reports_and_stops_when_asked(kind: str, package: Path, tmp_path: Path) -> None:
    source = package if kind == "folder" else export_model(package, tmp_path / "a.zip")
    seen: list[tuple[int, int | None]] = []
    with pytest.raises(Cancelled):
        install(source, progress=lambda done, total: seen.append((done, total)), cancelled=lambda: len(seen) > 0)
    assert seen and "tiny-net" not in installed_models() and everything(library_folder()) == []
    seen.clear()
    install(source, progress=lambda done, total: seen.append((done, total)))
    assert all(0 <= done <= total for done, total in seen) and seen == sorted(seen)
