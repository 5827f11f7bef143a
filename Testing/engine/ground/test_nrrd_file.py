"""NRRD files of other programs: what ITK does not unpack is read, and a place that is not a number is refused."""

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest

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
    [("raw", None), ("bzip2", bz2.compress(VOLUME_KJI.tobytes())), ("gzip", gzip.compress(VOLUME_KJI.tobytes()))],
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
