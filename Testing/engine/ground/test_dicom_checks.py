"""What GDCM reads in silence as something else is refused or told."""

from pathlib import Path

import numpy as np
import pytest
from dicom_folders import FOLDERS, SHAPE_KJI, VOLUME_KJI, change_text, warnings_of, write_series
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.volume_io import read_volume

SLOPE, INTERCEPT, PHOTOMETRIC = "28005310", "28005210", "28000400"
VOXELS = bytes.fromhex("e07f1000") + b"OW\0\0"


@settings(max_examples=10)
@given(st.integers(0, SHAPE_KJI[0] - 1), st.integers(0, 2 * SHAPE_KJI[1] * SHAPE_KJI[2] - 1))
def test_voxels_that_end_early_by_their_own_length_are_refused(tmp_path: Path, damaged: int, kept: int) -> None:
    folder = write_series(tmp_path / str(next(FOLDERS)))
    file = folder / f"1_{damaged:03d}.dcm"
    head, tag, _ = file.read_bytes().partition(VOXELS)
    file.write_bytes(head + tag + kept.to_bytes(4, "little") + VOLUME_KJI[damaged].tobytes()[:kept])
    with pytest.raises(
        ValueError, match=r"1_\d+\.dcm (has \d+ of 240 bytes of its voxels|cannot be decoded); get the series again\.$"
    ):
        read_volume(folder)


@pytest.mark.parametrize("tag", [SLOPE, INTERCEPT], ids=["slope", "intercept"])
@pytest.mark.parametrize("said", ["abc", "0,5", "2x", "nan", "1e400", "2\\3"])
def test_a_scaling_that_is_no_number_is_refused(tmp_path: Path, tag: str, said: str) -> None:
    folder = write_series(tmp_path / "series", slopes=[1] * SHAPE_KJI[0])
    change_text(folder, tag, said)
    with pytest.raises(ValueError, match=r"1_000.dcm says '.*' for the (slope|intercept) of its intensities; correct it"):
        read_volume(folder)


def test_a_slope_of_zero_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_series(tmp_path / "series", slopes=[1] * SHAPE_KJI[0])
    change_text(folder, SLOPE, "0")
    change_text(folder, INTERCEPT, "5")
    assert np.array_equal(read_volume(folder)[0], VOLUME_KJI + 5)
    assert "says 0 for the slope of its intensities; 1 was taken." in warnings_of(caplog)


def test_inverted_numbers_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_series(tmp_path / "series")
    change_text(folder, PHOTOMETRIC, "MONOCHROME1")
    assert np.array_equal(read_volume(folder)[0], ~VOLUME_KJI)
    assert "its low numbers are white (MONOCHROME1); all were inverted" in warnings_of(caplog)


def test_slices_of_two_patients_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", VOLUME_KJI[:3], entries={"0010|0020": "A"})
    positions = [(-10, -20, 37.5 + 2.5 * k) for k in range(3)]
    names = [f"2_{k}.dcm" for k in range(3)]
    write_series(folder, VOLUME_KJI[3:], positions, names=names, entries={"0010|0020": "B"}, first_number=4)
    with pytest.raises(ValueError, match=r"1_000.dcm and 2_0.dcm are of different patients; give a folder with one of them\.$"):
        read_volume(folder)


def test_several_frames_of_reference_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_series(tmp_path / "series", VOLUME_KJI[:3], entries={"0020|0052": "1.2.3"})
    positions = [(-10, -20, 37.5 + 2.5 * k) for k in range(3)]
    names = [f"2_{k}.dcm" for k in range(3)]
    write_series(folder, VOLUME_KJI[3:], positions, names=names, entries={"0020|0052": "1.2.4"}, first_number=4)
    assert np.array_equal(read_volume(folder)[0], VOLUME_KJI)
    assert "its slices name 2 frames of reference" in warnings_of(caplog)
