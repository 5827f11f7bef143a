"""Errors of the system become one sentence with the file, the reason and a cure."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from little_room import little_room

from mednextseg.errors import sentence_of
from mednextseg.files import write_bytes


@given(st.sampled_from(sorted(errno.errorcode)), st.one_of(st.none(), st.just("some/file.nii")))
def test_every_error_of_the_system_says_file_reason_and_cure(number: int, file: str | None) -> None:
    sentence = sentence_of(OSError(number, os.strerror(number), file))
    assert "Errno" not in sentence and sentence.endswith(".") and "; " in sentence and "\n" not in sentence
    assert sentence.startswith("some/file.nii: ") == (file is not None)
    assert os.strerror(number)[1:] in sentence


def test_what_is_a_sentence_stays_one() -> None:
    assert sentence_of(ValueError("give a\n  volume.")) == "give a volume."
    assert sentence_of(FileNotFoundError("there is no folder x.")) == "there is no folder x."
    assert "memory ran out" in sentence_of(MemoryError()) and "KeyError" in sentence_of(KeyError())


@given(st.integers(0, 2999))
def test_a_disk_that_fills_up_leaves_the_old_file_and_says_which(tmp_path: Path, room: int) -> None:
    file = tmp_path / "result.json"
    file.write_text("old")
    with little_room(room), pytest.raises(OSError, match=r"result\.json could not be written \(.+\); make room; the old file"):
        write_bytes(file, b"x" * 3000)
    assert file.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["result.json"]
