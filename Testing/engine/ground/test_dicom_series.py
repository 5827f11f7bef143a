"""Every slice of a DICOM series comes to the place its file says, and what does not fit together is refused or told."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_folders import FOLDERS, SHAPE_KJI, VOLUME_KJI, change_text, warnings_of, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mednextseg.volume_io import read_volume


@settings(max_examples=8)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3), st.permutations(range(SHAPE_KJI[0])), st.floats(0.5, 6.0), st.sampled_from([1, -1])
)
def test_any_direction_order_and_distance(tmp_path: Path, angles: tuple, order: list[int], distance: float, sign: int) -> None:
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    positions = [np.array([-10, 20, 5]) + sign * k * distance * rotation[:, 2] for k in range(SHAPE_KJI[0])]
    names = [f"IM{number}" for number in order]
    folder = write_series(
        tmp_path / str(next(FOLDERS)), positions=positions, orientation=rotation[:, :2].T.ravel(), names=names
    )
    volume_kji, geometry = read_volume(folder)
    assert np.array_equal(volume_kji, VOLUME_KJI[::sign])
    for k, position in enumerate(positions):
        corner_ijk = (0, 0, k if sign > 0 else SHAPE_KJI[0] - 1 - k)
        assert np.allclose(geometry.ras_from_ijk(corner_ijk), position * [-1, -1, 1], atol=1e-3)
    assert np.allclose(geometry.spacing_ijk_mm, (0.7, 0.8, distance), rtol=1e-3)


@settings(max_examples=5)
@given(st.sets(st.integers(1, SHAPE_KJI[0] - 2), min_size=1, max_size=2))
def test_missing_slices_are_refused(tmp_path: Path, missing: set[int]) -> None:
    kept = [k for k in range(SHAPE_KJI[0]) if k not in missing]
    positions = [(-10, -20, 30 + 2.5 * k) for k in kept]
    with pytest.raises(ValueError, match="slices are missing"):
        read_volume(write_series(tmp_path / str(next(FOLDERS)), VOLUME_KJI[kept], positions))


def test_copies_of_slices_are_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_series(tmp_path / "series")
    for number in (0, 3):
        shutil.copy(folder / f"1_{number:03d}.dcm", folder / f"again{number}.dcm")
    volume_kji, geometry = read_volume(folder)
    assert np.array_equal(volume_kji, VOLUME_KJI) and geometry.spacing_ijk_mm[2] == pytest.approx(2.5)
    assert "2 file(s) repeat a slice" in warnings_of(caplog)


def test_every_slice_is_rescaled_by_its_own_numbers(tmp_path: Path) -> None:
    slopes = [1, 2, 5, 4, 1, 3]
    stored = np.random.default_rng(1).integers(0, 100, SHAPE_KJI)
    rescaled_kji = (stored * np.array(slopes)[:, None, None]).astype(np.int16)
    read_kji, _ = read_volume(write_series(tmp_path / "series", rescaled_kji, slopes=slopes))
    assert np.array_equal(read_kji, rescaled_kji)


@settings(max_examples=5)
@given(st.floats(-25, 25).filter(lambda angle: abs(angle) > 1))
def test_a_gantry_tilt_is_straightened(tmp_path: Path, angle: float) -> None:
    """The image is a linear function of the place, which linear resampling keeps."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    positions = [(-10, -20, 30 + 2.5 * k) for k in range(SHAPE_KJI[0])]
    j, i = np.mgrid[: SHAPE_KJI[1], : SHAPE_KJI[2]]
    y_mm = -20 + 0.8 * c * j
    planes = np.stack([np.round(10 * y_mm + 100 * 0.7 * i + 40 * k).astype(np.int16) for k in range(SHAPE_KJI[0])])
    folder = write_series(tmp_path / str(next(FOLDERS)), planes, positions, (1, 0, 0, 0, c, -s))
    volume_kji, geometry = read_volume(folder)
    assert geometry.shear_deg < 1e-3 and volume_kji.shape == geometry.shape_kji
    for k, place in enumerate(positions):
        x, y, z = np.array(place) + np.array([0.7 * 5, 0.8 * 4 * c, -0.8 * 4 * s])  # voxel (5, 4) of the slice, in LPS
        at = geometry.ijk_from_ras(np.array([-x, -y, z]))
        assert at[2] == pytest.approx(k, abs=1e-3)
        low = int(np.floor(at[1] + 1e-6))
        share = at[1] - low
        found = (1 - share) * volume_kji[k, low, 5] + share * volume_kji[k, min(low + 1, volume_kji.shape[1] - 1), 5]
        assert found == pytest.approx(planes[k, 4, 5], abs=1.5)


def test_other_files_of_the_folder_are_passed_over(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    for name, content in (("DICOMDIR", bytes(200)), ("._1.dcm", b"Mac"), ("notes.txt", b"x"), ("empty.dcm", b"")):
        (folder / name).write_bytes(content)
    assert np.array_equal(read_volume(folder)[0], VOLUME_KJI)


def scout_beside(folder: Path) -> None:
    write_series(folder, VOLUME_KJI[:1], orientation=(0, 1, 0, 0, 0, -1), names=["scout.dcm"])


def other_size(folder: Path) -> None:
    write_series(folder, VOLUME_KJI[:1, :8], [(-10, -20, 45)], names=["odd.dcm"])


def second_time_point(folder: Path) -> None:
    write_series(folder, VOLUME_KJI[::-1], names=[f"t{k}.dcm" for k in range(SHAPE_KJI[0])])


def half_a_time_point(folder: Path) -> None:
    write_series(folder, VOLUME_KJI[:3] + 1, names=[f"t{k}.dcm" for k in range(3)], entries={"0020|0100": "2"})


def second_series(folder: Path) -> None:
    write_series(folder, VOLUME_KJI, series="2")


def long_directions(folder: Path) -> None:
    change_text(folder, "20003700", "2\\0\\0\\0\\1\\0")


def slanted_axes(folder: Path) -> None:
    change_text(folder, "20003700", "1\\0\\0\\0.1\\0.994987\\0")


def truncated_slice(folder: Path) -> None:
    file = folder / "1_003.dcm"
    file.write_bytes(file.read_bytes()[:-100])


def truncated_header(folder: Path) -> None:
    (folder / "1_003.dcm").write_bytes((folder / "1_003.dcm").read_bytes()[:300])


def beside_the_line(folder: Path) -> None:
    write_series(folder, VOLUME_KJI[2:3], [(-4, -20, 35)], names=["1_002.dcm"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (scout_beside, "point in different directions"),
        (other_size, "differ in size"),
        (second_time_point, "up to 2 different slices"),
        (half_a_time_point, "at 3 places it has up to 2 different slices"),
        (second_series, "2 DICOM series"),
        (long_directions, "damaged position or orientation"),
        (slanted_axes, r"series cannot be read: its axes are 5.7 degrees away from right angles; .*\.$"),
        (truncated_slice, "cannot be decoded"),
        (truncated_header, "cannot be decoded"),
        (beside_the_line, "beside the line"),
    ],
)
def test_what_cannot_be_put_right_is_refused_in_one_sentence(tmp_path: Path, spoil, message: str) -> None:
    folder = write_series(tmp_path / "series")
    spoil(folder)
    with pytest.raises(ValueError, match=message):
        read_volume(folder)


@settings(max_examples=6)
@given(
    st.integers(2, 3),
    st.sampled_from(["0020|0100", "0018|1060", "0020|0012", "0008|0032", "0018|0081", None]),
    st.randoms(use_true_random=False),
)
def test_time_points_are_a_choice(tmp_path: Path, count: int, tag: str | None, random) -> None:
    folder = tmp_path / str(next(FOLDERS))
    order = random.sample(range(count), count)  # names say nothing
    for point in range(count):
        write_series(
            folder,
            (VOLUME_KJI + 7 * point).astype(np.int16),
            names=[f"{order[point]}_{k}.dcm" for k in range(SHAPE_KJI[0])],
            entries={} if tag is None else {tag: str(8 + point)},
            first_number=1 + point * SHAPE_KJI[0],
        )
    with pytest.raises(
        ValueError, match=f"it holds {count} time points or the like .* choose one with --time-point 1 to {count}"
    ):
        read_volume(folder)
    with pytest.raises(ValueError, match=f"there is no time point {count + 1}: "):
        read_volume(folder, count + 1)
    for point in range(count):
        assert np.array_equal(read_volume(folder, point + 1)[0], VOLUME_KJI + 7 * point)


def test_a_time_point_of_what_has_none_is_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    assert np.array_equal(read_volume(folder, 1)[0], VOLUME_KJI)
    with pytest.raises(ValueError, match="there is no time point 2: it holds a single one"):
        read_volume(folder, 2)
    sitk.WriteImage(sitk.GetImageFromArray(VOLUME_KJI), str(tmp_path / "a.nrrd"))
    with pytest.raises(ValueError, match="has no time points; leave --time-point out"):
        read_volume(tmp_path / "a.nrrd", 1)


@pytest.mark.parametrize("spacing", [None, "0\\0", "1", "nan\\1", "-1\\1", "1,5\\1"])
def test_a_pixel_spacing_that_is_none_is_refused(tmp_path: Path, spacing: str | None) -> None:
    folder = write_series(tmp_path / "series")
    change_text(folder, "28003000", spacing)
    with pytest.raises(ValueError, match="for its pixel spacing in mm; correct it in the files"):
        read_volume(folder)
