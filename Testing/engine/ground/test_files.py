"""Files appear whole or not at all, and nothing else is left in the folder."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.files import check_writable, replacing, write_bytes, write_text


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
