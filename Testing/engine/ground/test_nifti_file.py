"""NIfTI files are read as ITK and nibabel do, and what is truncated, contradictory or of another kind is refused or said."""

import gzip
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.geometry import Geometry
from mednextseg.volume_io import geometry_of, read_volume

VOXELS_IJK = np.arange(5 * 4 * 3).reshape(5, 4, 3)
TYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
rotations = st.tuples(*[st.floats(-180, 180)] * 3).map(lambda a: Rotation.from_euler("xyz", a, degrees=True).as_matrix())


def affine(rotation: np.ndarray, spacing: tuple = (1, 2, 3), origin: tuple = (5, -6, 7)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation * np.array(spacing), origin
    return matrix


def header(version: int = 1, dtype: str = "i2", order: str = "<", **fields: object) -> nib.Nifti1Header:
    made = (nib.Nifti1Header if version == 1 else nib.Nifti2Header)(endianness=order)
    made.set_data_dtype(dtype)
    made.set_data_shape(VOXELS_IJK.shape)
    made["magic"] = made.single_magic
    made["vox_offset"] = made.single_vox_offset
    made.set_qform(np.diag([1.0, 2, 3, 1]), 1)
    made.set_sform(np.diag([1.0, 2, 3, 1]), 1)
    for name, value in fields.items():
        made[name] = value
    return made


def write(path: Path, head: nib.Nifti1Header, voxels_ijk: np.ndarray = VOXELS_IJK) -> bytes:
    gap = bytes(int(head["vox_offset"]) - len(head.binaryblock))
    kind = np.dtype(f"{head.endianness}i2") if int(head["datatype"]) in (77, 128) else head.get_data_dtype()
    content = head.binaryblock + gap + voxels_ijk.astype(kind).tobytes(order="F")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return content


def warnings_of(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


@settings(max_examples=40)
@given(
    st.sampled_from([1, 2]),
    st.sampled_from(TYPES),
    st.sampled_from("<>"),
    st.sampled_from(["a.nii", "a.nii.gz", "A.NII.GZ", "a"]),
)
def test_every_version_voxel_type_byte_order_and_name(tmp_path: Path, version: int, dtype: str, order: str, name: str) -> None:
    write(tmp_path / name, header(version, dtype, order))
    volume_kji, geometry = read_volume(tmp_path / name)
    assert np.array_equal(volume_kji, VOXELS_IJK.T) and volume_kji.dtype == np.dtype(dtype)
    assert geometry.matches(Geometry((3, 4, 5), np.diag([1.0, 2, 3, 1])))


@settings(max_examples=60)
@given(rotations, rotations, st.sampled_from([0, 1, 2, 4]), st.sampled_from([0, 1, 2, 4]), st.sampled_from([1, -1]))
def test_the_place_is_the_one_that_itk_and_so_slicer_takes(
    tmp_path: Path, q_rotation: np.ndarray, s_rotation: np.ndarray, q_code: int, s_code: int, hand: int
) -> None:
    made = header()
    made.set_qform(affine(q_rotation * [1, 1, hand]), 1)
    made.set_sform(affine(s_rotation * [1, 1, hand], origin=(50, 60, 70)), 1)
    made["qform_code"], made["sform_code"] = q_code, s_code
    write(tmp_path / "a.nii", made)
    assert read_volume(tmp_path / "a.nii")[1].matches(geometry_of(sitk.ReadImage(str(tmp_path / "a.nii"))), 1e-3)


def test_a_qform_and_an_sform_that_differ_are_told_with_the_distance(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = header()
    made.set_sform(affine(np.eye(3), origin=(0, 0, 4)), 2)
    write(tmp_path / "a.nii", made)
    assert read_volume(tmp_path / "a.nii")[1].matches(Geometry((3, 4, 5), np.diag([1.0, 2, 3, 1])))
    assert "differ by up to 4 mm; the qform was taken and not the sform" in warnings_of(caplog)


def test_a_file_that_is_clear_needs_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.nii.gz", header())
    read_volume(tmp_path / "a.nii.gz")
    assert warnings_of(caplog) == ""


@settings(max_examples=40)
@given(st.floats(0, 0.999), st.sampled_from(["a.nii", "a.nii.gz"]))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, share: float, name: str) -> None:
    write(tmp_path / name, header())
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=rf"{name} cannot be read"):
        read_volume(tmp_path / name)


@settings(max_examples=40)
@given(st.integers(12, 200), st.integers(1, 255))
def test_altered_bytes_of_a_compressed_file_are_noticed(tmp_path: Path, place: int, bits: int) -> None:
    write(tmp_path / "a.nii.gz", header())
    damaged = bytearray((tmp_path / "a.nii.gz").read_bytes())
    damaged[place % len(damaged) if place % len(damaged) >= 10 else 10] ^= bits
    (tmp_path / "a.nii.gz").write_bytes(bytes(damaged))
    try:
        volume_kji, _ = read_volume(tmp_path / "a.nii.gz")
    except ValueError:
        return
    assert np.array_equal(volume_kji, VOXELS_IJK.T)  # a byte of padding


def test_members_padding_and_what_follows_the_voxels_do_no_harm(tmp_path: Path) -> None:
    content = write(tmp_path / "a.nii", header())
    variants = {
        "members.nii.gz": gzip.compress(content[:370]) + gzip.compress(content[370:]),
        "padded.nii.gz": gzip.compress(content) + bytes(512),
        "longer.nii": content + b"xyz",
        "packed.nii": gzip.compress(content),
        "plain.nii.gz": content,
    }
    for name, data in variants.items():
        (tmp_path / name).write_bytes(data)
        assert np.array_equal(read_volume(tmp_path / name)[0], VOXELS_IJK.T), name


def test_the_named_one_of_two_neighbors_is_read(tmp_path: Path) -> None:
    write(tmp_path / "A.nii", header())
    write(tmp_path / "A.nii.gz", header(), VOXELS_IJK[::-1])
    assert np.array_equal(read_volume(tmp_path / "A.nii")[0], VOXELS_IJK.T)
    assert np.array_equal(read_volume(tmp_path / "A.nii.gz")[0], VOXELS_IJK[::-1].T)


@settings(max_examples=30)
@given(
    st.sampled_from([0.5, 2.0, -3.0, 0.0, 2.0**120, np.nan]),
    st.sampled_from([0.0, 10.0, 1e10, np.nan]),
    st.sampled_from(["i2", "i4", "f4"]),
)
def test_scaled_voxels(tmp_path: Path, slope: float, intercept: float, dtype: str) -> None:
    write(tmp_path / "a.nii", header(dtype=dtype, scl_slope=slope, scl_inter=intercept))
    plain = np.isnan(slope) or slope == 0
    expected = VOXELS_IJK.T if plain else VOXELS_IJK.T * slope + np.nan_to_num(intercept)
    assert np.array_equal(read_volume(tmp_path / "a.nii")[0], expected)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pixdim": [1, 0, 2, 3, 1, 1, 1, 1]}, "spacing"),
        ({"pixdim": [1, 1, np.nan, 3, 1, 1, 1, 1]}, "spacing"),
        ({"dim": [4, 5, 4, 3, 2, 1, 1, 1]}, r"4 axes \(5 x 4 x 3 x 2\)"),
        ({"dim": [2, 5, 12, 1, 1, 1, 1, 1]}, r"2 axes"),
        ({"dim": [3, 5, -4, 3, 1, 1, 1, 1]}, "impossible axes"),
        ({"dim": [9, 5, 4, 3, 1, 1, 1, 1]}, "impossible axes"),
        ({"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]}, "truncated"),
        ({"datatype": 128}, "RGB colors"),
        ({"datatype": 77}, "unknown type 77"),
        ({"scl_slope": np.inf}, "scales the voxels by inf"),
        ({"quatern_b": np.nan, "sform_code": 0}, "finite"),
        ({"srow_x": [0, 0, 0, 0]}, "spacing must be positive"),
        ({"srow_x": [1, 0.6, 0, 0]}, "degrees away from right angles; resample it"),
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path: Path, fields: dict, message: str) -> None:
    write(tmp_path / "a.nii", header(**fields))
    with pytest.raises((ValueError, MemoryError), match=message):
        read_volume(tmp_path / "a.nii")


@settings(max_examples=30)
@given(st.floats(0.0003, 0.008), rotations)
def test_axes_that_are_nearly_at_right_angles_are_put_there_about_the_middle(
    tmp_path: Path, shear: float, rotation: np.ndarray
) -> None:
    sheared = rotation @ np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    made = header(qform_code=0)
    made.set_sform(affine(sheared, (1, 1, 1)), 1)
    write(tmp_path / "a.nii", made)
    geometry, stored = read_volume(tmp_path / "a.nii")[1], Geometry((3, 4, 5), affine(sheared, (1, 1, 1)))
    assert geometry.shear_deg < 1e-4 and np.allclose(geometry.spacing_ijk_mm, stored.spacing_ijk_mm)
    middle = (np.array(stored.shape_ijk) - 1) / 2
    assert np.allclose(geometry.ras_from_ijk(middle), stored.ras_from_ijk(middle), atol=1e-4)
    assert geometry.matches(stored, 1.5 * shear * 3)


def test_the_pair_of_header_and_voxels_is_read_by_either_name(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(VOXELS_IJK.astype(np.int16), np.diag([1.0, 2, 3, 1])), str(tmp_path / "a.img"))
    for name in ("a.img", "a.hdr"):
        assert np.array_equal(read_volume(tmp_path / name)[0], VOXELS_IJK.T)


def test_lengths_in_meters_are_read_as_such_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = header(xyzt_units=1)
    made.set_qform(np.diag([0.001, 0.002, 0.003, 1]), 1)
    made.set_sform(np.diag([0.001, 0.002, 0.003, 1]), 1)
    write(tmp_path / "a.nii", made)
    assert np.allclose(read_volume(tmp_path / "a.nii")[1].spacing_ijk_mm, (1, 2, 3))
    assert "its lengths are in m" in warnings_of(caplog)


@given(st.sampled_from([1, 2]), st.one_of(st.integers(-600, 600), st.sampled_from([float("inf"), float("nan"), 1e30])))
def test_voxels_that_would_begin_inside_the_header_are_refused(tmp_path: Path, version: int, offset: float) -> None:
    head = header(version)
    write(tmp_path / "a.nii", head)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    start, kind = (108, "<f4") if version == 1 else (168, "<i8")
    if version == 2:
        offset = int(np.clip(np.nan_to_num(offset, posinf=2e18), -(2**62), 2**62))
    content[start : start + np.dtype(kind).itemsize] = np.array(offset).astype(kind).tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    if offset in (0, head.single_vox_offset):  # 0 is a field left empty
        assert np.array_equal(read_volume(tmp_path / "a.nii")[0], VOXELS_IJK.T)
    else:
        with pytest.raises(ValueError, match=r"places the voxels at byte|truncated"):
            read_volume(tmp_path / "a.nii")


@given(st.sampled_from([1, 2]), st.sampled_from(["qform_code", "sform_code"]), st.sampled_from([-1, 6, 255, 256, 32767]))
def test_codes_of_a_place_that_do_not_exist_are_refused(tmp_path: Path, version: int, name: str, code: int) -> None:
    write(tmp_path / "a.nii", header(version, **{name: code}))
    with pytest.raises(ValueError, match=f"has the unknown {name} {code}; correct the file"):
        read_volume(tmp_path / "a.nii")
