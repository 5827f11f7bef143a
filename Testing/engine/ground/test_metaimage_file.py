"""MetaImage files: what ITK passes over in silence is refused or told, and what other programs write is read."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from odd_numbers import ODD_NUMBERS

from mednextseg.volume_io import read_layers, read_volume

VOLUME_KJI = np.arange(24, dtype="<i2").reshape(2, 3, 4)
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-5 -6 7",
    "ElementSpacing": "1 2 3",
    "DimSize": "4 3 2",
    "ElementType": "MET_SHORT",
}


def write(path: Path, body: bytes = VOLUME_KJI.tobytes(), data: str = "LOCAL", **fields: str | None) -> Path:
    lines = {**FIELDS, **fields, "ElementDataFile": data}
    head = "".join(f"{name} = {value}\n" for name, value in lines.items() if value is not None)
    path.write_bytes(head.encode("latin-1") + body)
    return path


def packed(body: bytes) -> dict[str, str]:
    return {"CompressedData": "True", "CompressedDataSize": str(len(body))}


def is_right(path: Path) -> bool:
    volume_kji, geometry = read_volume(path)
    return np.array_equal(volume_kji, VOLUME_KJI) and np.allclose(geometry.ras_from_ijk([1, 1, 1]), [5 - 1, 6 - 2, 7 + 3])


def test_files_of_any_form_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = zlib.compress(VOLUME_KJI.tobytes())
    assert is_right(write(tmp_path / "plain.mha"))
    assert is_right(write(tmp_path / "packed.mha", body, **packed(body)))
    (tmp_path / "voxels.raw").write_bytes(VOLUME_KJI.tobytes())
    assert is_right(write(tmp_path / "apart.mhd", b"", "voxels.raw", Comment="caf\xe9"))
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "plain.mha")), str(tmp_path / "itk.mhd"), useCompression=True)
    assert is_right(tmp_path / "itk.mhd")
    assert not caplog.messages


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_altered_bytes_of_compressed_voxels_are_noticed(tmp_path: Path, place: int, bits: int) -> None:
    body = bytearray(zlib.compress(VOLUME_KJI.tobytes()))
    body[place % len(body)] ^= bits
    path = write(tmp_path / "a.mha", bytes(body), **packed(body))
    try:
        assert is_right(path)  # a byte of no meaning
    except ValueError as error:
        assert str(error).startswith(f"{path} cannot be read: ")


@given(st.integers(0, 47), st.booleans())
def test_missing_bytes_are_noticed(tmp_path: Path, kept: int, is_packed: bool) -> None:
    body = VOLUME_KJI.tobytes()[:kept]
    body = zlib.compress(body) if is_packed else body
    with pytest.raises(ValueError, match=r"a\.mha cannot be read: "):
        read_volume(write(tmp_path / "a.mha", body, **(packed(body) if is_packed else {})))


@given(
    st.sampled_from([*ODD_NUMBERS, "-1x", ""]),
    st.sampled_from(
        ["NDims", "DimSize", "ElementSpacing", "Offset", "TransformMatrix", "BinaryDataByteOrderMSB", "CompressedData"]
    ),
)
def test_a_field_that_is_read_in_part_is_refused(tmp_path: Path, odd: str, name: str) -> None:
    value = " ".join([odd, *FIELDS[name].split()[1:]])
    with pytest.raises(ValueError, match=r"a\.mha cannot be read: "):
        read_volume(write(tmp_path / "a.mha", VOLUME_KJI.tobytes() * 9, **{name: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CompressedData": "True"}, "has no CompressedDataSize"),
        ({"Offset": "0 0"}, "says Offset"),
        ({"Caf\xe9": "1"}, "a line that is none"),
    ],
)
def test_other_damage_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_volume(write(tmp_path / "a.mha", zlib.compress(VOLUME_KJI.tobytes()), **changes))


@pytest.mark.parametrize("data", ["x" * 300, "a\x00b", "LOCAL\x9e", "\xff" * 250])
def test_a_name_of_the_voxels_that_no_file_has_is_refused(tmp_path: Path, data: str) -> None:
    with pytest.raises(ValueError, match="its header says ElementDataFile"):
        read_volume(write(tmp_path / "a.mha", data=data))


@pytest.mark.parametrize("missing", ["ElementSpacing", "TransformMatrix", "Offset"])
def test_a_place_that_is_missing_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, missing: str) -> None:
    read_volume(write(tmp_path / "a.mha", **{missing: None}))
    assert missing in caplog.text


def test_entries_in_another_encoding_are_read_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    head = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nendian: little\nencoding: raw\nb\xe9:=x\nname:=caf\xe9\n\n"
    path.write_bytes(head + VOLUME_KJI.tobytes())
    *_, entries = read_layers(path)
    assert entries["name"] == "caf\xe9" and all(name.isprintable() for name in entries)
