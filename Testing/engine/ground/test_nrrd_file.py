"""NRRD files of other programs: what ITK does not unpack is read, and a place that is not a number is refused."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_numbers import ODD_NUMBERS

from mednextseg.volume_io import read_volume

VOLUME_KJI = np.arange(24, dtype="<i2").reshape(2, 3, 4)
PLACE = "space: left-posterior-superior\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (-5,-6,7)\n"


def write(path: Path, place: str = PLACE, encoding: str = "raw", data: bytes | None = None, extra: str = "") -> Path:
    sizes = extra or "dimension: 3\nsizes: 4 3 2\n"
    head = f"NRRD0004\ntype: short\n{sizes}{place}endian: little\nencoding: {encoding}\n\n"
    path.write_bytes(head.encode() + (VOLUME_KJI.tobytes() if data is None else data))
    return path


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("raw", None), ("bzip2", bz2.compress(VOLUME_KJI.tobytes())), ("gzip", gzip.compress(VOLUME_KJI.tobytes(), mtime=0))],
)
def test_every_encoding_is_read(tmp_path: Path, encoding: str, data: bytes | None) -> None:
    volume_kji, geometry = read_volume(write(tmp_path / "a.nrrd", encoding=encoding, data=data))
    assert np.array_equal(volume_kji, VOLUME_KJI)
    assert np.allclose(geometry.ras_from_ijk([1, 1, 1]), [5 - 1, 6 - 2, 7 + 3])


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize(("encoding", "pack"), [("bzip2", bz2.compress), ("gzip", gzip.compress), ("raw", bytes)])
def test_truncated_data_are_refused(tmp_path: Path, encoding: str, pack, share: float) -> None:
    packed = pack(VOLUME_KJI.tobytes())
    with pytest.raises(ValueError, match=r"a\.nrrd cannot be read"):
        read_volume(write(tmp_path / "a.nrrd", encoding=encoding, data=packed[: int(share * len(packed))]))


@pytest.mark.parametrize(
    "place",
    [
        "spacings: 1 1 nan\n",
        "spacings: 1 inf 1\n",
        "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,nan)\nspace origin: (0,0,0)\n",
        "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,nan,0)\n",
    ],
)
def test_a_place_that_is_no_number_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ValueError, match=r"a\.nrrd cannot be read: its header says"):
        read_volume(write(tmp_path / "a.nrrd", place))


def test_an_axis_of_layers_needs_no_place(tmp_path: Path) -> None:
    extra = "dimension: 4\nsizes: 1 4 3 2\nkinds: list domain domain domain\n"
    place = PLACE.replace("directions: ", "directions: none ")
    assert np.array_equal(read_volume(write(tmp_path / "a.nrrd", place, extra=extra))[0], VOLUME_KJI)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_altered_bytes_of_compressed_voxels_are_noticed(tmp_path: Path, place: int, bits: int) -> None:
    packed = bytearray(gzip.compress(VOLUME_KJI.tobytes(), mtime=0))
    packed[place % len(packed)] ^= bits
    path = write(tmp_path / "a.nrrd", encoding="gzip", data=bytes(packed))
    try:
        assert np.array_equal(read_volume(path)[0], VOLUME_KJI)  # a byte of no meaning, such as the time of packing
    except ValueError as error:
        assert str(error).startswith(f"{path} cannot be read: ")


@given(
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(
        [
            "sizes: 4 3 {}\n",
            "space directions: (1,0,0) (0,{},0) (0,0,3)\n",
            "space origin: (-5,{},7)\n",
            "space origin: (-5 {},7)\n",
        ]
    ),
)
def test_a_number_that_is_read_in_part_by_some_is_refused(tmp_path: Path, number: str, line: str) -> None:
    _, directions, origin = PLACE.splitlines(True)
    fields = {"sizes": "sizes: 4 3 2\n", "space directions": directions, "space origin": origin}
    fields[line.partition(":")[0]] = line.format(number)
    lines = "".join(fields.values())
    content = f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n{lines}endian: little\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(content.encode("latin-1") + VOLUME_KJI.tobytes() * 9)
    with pytest.raises(ValueError, match=r"a\.nrrd cannot be read: "):
        read_volume(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("place", "missing"),
    [
        (PLACE, ""),
        ("spacings: 1 2 3\n", "directions"),
        ("", "spacings"),
        (PLACE.rpartition("space origin")[0], "origin"),
    ],
)
def test_a_place_that_is_missing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str, missing: str) -> None:
    read_volume(write(tmp_path / "a.nrrd", place))
    assert bool(caplog.messages) == bool(missing) and all(missing in line for line in caplog.messages)
