"""Files appear whole or not at all, and nothing else is left in the folder."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.files import check_writable, make_folder, replacing, write_bytes, write_text


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.binary())
def test_what_is_written_replaces_what_was_there(tmp_path: Path, text: str, content: bytes) -> None:
    write_text(tmp_path / "text.json", text)
    write_bytes(tmp_path / "bytes", content)
    assert (tmp_path / "text.json").read_bytes().replace(b"\r\n", b"\n") == text.encode()
    assert (tmp_path / "bytes").read_bytes() == content
    assert {file.name for file in tmp_path.iterdir()} == {"text.json", "bytes"}


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException], old: str | None) -> None:
    file = tmp_path / "case.nii.gz"
    if old is not None:
        file.write_text(old)
    with pytest.raises(failure), replacing(file) as temporary:
        temporary.write_text("half")
        assert file.exists() is (old is not None), "the old file is there, or none, while the new one is written"
        raise failure
    assert {f.name: f.read_text() for f in tmp_path.iterdir()} == ({} if old is None else {"case.nii.gz": old})


@pytest.mark.parametrize("name", ["case.nii.gz", "a.b.seg.nrrd", "volume.mha", "plain", "é" * 100 + ".json"])
def test_the_temporary_file_lies_beside_the_target_hidden_with_its_suffixes(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path and temporary.name.startswith(".")
        assert temporary.suffixes == Path(name).suffixes[-2:]
        temporary.touch()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_other_users_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "written", "")
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_place_is_checked_before_a_run_without_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "new.nii.gz")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent; create it or choose another place for x\.nii\."):
        check_writable(tmp_path / "absent" / "x.nii")
    (tmp_path / "folder").mkdir()
    with pytest.raises(PermissionError, match="cannot be overwritten; choose another name"):
        check_writable(tmp_path / "folder")
    # Root may write everywhere, so the system's answer is set here.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(PermissionError, match="nothing can be written to the folder"):
        check_writable(tmp_path / "new.nii.gz")


@pytest.mark.parametrize("name", ["o", "o.png", "o.gz", "o.nii.bz2", "o.seg.nrrd.gz", ".nii.gz"])
def test_other_suffixes_are_refused_with_those_that_are_allowed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be written; give a name that ends in \.nii\.gz, \.nrrd or \.mha"):
        check_writable(tmp_path / name, (".nii.gz", ".nrrd", ".mha"))
    check_writable(tmp_path / "O.NII.GZ", (".nii.gz", ".nrrd", ".mha"))


@pytest.mark.parametrize("way", ["same", "relative", "hard link", "link", "linked folder", "in a folder"])
def test_no_input_is_written_over_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    image, other = folder / "image.nii.gz", folder / "other.nii.gz"
    for file in (image, other):
        file.write_bytes(b"precious")
    monkeypatch.chdir(folder)
    output = {"same": image, "relative": Path("image.nii.gz"), "in a folder": image}.get(way, tmp_path / "out.nii.gz")
    if way == "hard link":
        os.link(image, output)
    elif way == "link":
        output.symlink_to(image)
    elif way == "linked folder":
        (tmp_path / "again").symlink_to(folder)
        output = tmp_path / "again" / "image.nii.gz"
    with pytest.raises(ValueError, match=r"is the input image\.nii\.gz, which would be lost"):
        check_writable(output, inputs=[folder] if way == "in a folder" else [other, image])
    check_writable(tmp_path / "elsewhere.nii.gz", inputs=[other, image, folder, tmp_path / "absent"])


def test_an_output_through_a_link_replaces_the_file_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    target, link = tmp_path / "results" / "labels.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    for text in ("new", "newer"):
        write_text(link, text)
        assert link.is_symlink() and target.read_text() == text
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["labels.txt", "link.txt", "results"]


def test_a_full_disk_is_told_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"MB left and x needs more than .* MB; make room"):
        check_writable(tmp_path / "x", needed_bytes=1 << 60)


def test_a_folder_for_results_is_made_or_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir() and make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file, and results need a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError, match="cannot be made"):
        make_folder(tmp_path / "file" / "below")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="nothing can be written to the folder"):
        make_folder(tmp_path / "a")


@pytest.mark.skipif(os.name != "posix", reason="other systems cannot be asked for a process")
def test_what_a_killed_program_left_is_swept_and_what_another_writes_stays(tmp_path: Path) -> None:
    kill_in_block = (
        "import os, sys; from mednextseg.files import replacing\nwith replacing(sys.argv[1]) as t: t.touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", kill_in_block, str(tmp_path / "case.nii.gz")], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "other.json") as mine:
        mine.touch()
        write_text(tmp_path / "text.json", "")
        assert mine.exists()
    assert {file.name for file in tmp_path.iterdir()} == {"other.json", "text.json"}
