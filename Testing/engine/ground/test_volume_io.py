"""Volumes and segmentations survive the way through files, whatever format and direction; broken files get one sentence."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from geometries import geometries
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.segmentation_io import read_segmentation, write_segmentation
from mednextseg.volume_io import image_of, read_volume, write_image

OBLIQUE = np.array([[0.0, -0.8, 0.6, 12.5], [1.2, 0, 0, -80], [0, 1.5, 2.0, 33], [0, 0, 0, 1.0]])
OBLIQUE[:3, 1:3] = np.array([[-0.8, 0.6], [0, 0], [0.6, 0.8]]) * [0.9, 2.5]
LABELS = (
    Label(
        1,
        "liver",
        (221, 130, 101),
        {"category": ("SCT", "123037004", "Anatomical Structure"), "type": ("SCT", "10200004", "Liver")},
    ),
    Label(7, "lesion, odd: name", (10, 20, 30)),
)


@settings(max_examples=25)
@given(geometries(), st.sampled_from([".nii.gz", ".nrrd", ".mha"]))
def test_array_and_geometry_survive_every_format(tmp_path: Path, geometry: Geometry, suffix: str) -> None:
    volume = np.random.default_rng(0).integers(-1000, 1000, geometry.shape_kji).astype(np.int16)
    write_image(image_of(volume, geometry), tmp_path / f"volume{suffix}")
    read, read_geometry = read_volume(tmp_path / f"volume{suffix}")
    assert np.array_equal(read, volume)
    assert read_geometry.matches(geometry, tolerance_mm=2e-3)


def test_geometry_agrees_with_simpleitks_physical_points(tmp_path: Path) -> None:
    geometry = Geometry((4, 5, 6), OBLIQUE)
    image = image_of(np.zeros(geometry.shape_kji, np.uint8), geometry)
    lps = np.array(image.TransformIndexToPhysicalPoint((5, 3, 2)))
    assert np.allclose(geometry.ras_from_ijk([5, 3, 2]), lps * [-1, -1, 1])


def test_a_dicom_series_folder_is_read(tmp_path: Path) -> None:
    volume = np.arange(3 * 8 * 9, dtype=np.int16).reshape(3, 8, 9)
    for k, plane in enumerate(volume):
        image = sitk.GetImageFromArray(plane[None])
        image.SetSpacing((0.7, 0.7, 2.5))
        tags = {
            "0020|000e": "1.2.3",
            "0020|0032": f"-10\\-20\\{30 + 2.5 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(k),
        }
        for tag, value in {**tags, "0008|0060": "MR", "0018|0050": "2.5"}.items():
            image.SetMetaData(tag, value)
        image.SetOrigin((-10, -20, 30 + 2.5 * k))
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(tmp_path / f"{k}.dcm"))
        writer.Execute(image)
    read, geometry = read_volume(tmp_path)
    assert np.array_equal(read, volume)
    assert np.allclose(geometry.spacing_ijk_mm, (0.7, 0.7, 2.5))
    assert np.allclose(geometry.ras_from_ijk(np.zeros(3)), (10, 20, 30))


def test_real_dicom_series_are_read(shared_data: Path) -> None:
    folder = next(path for path in sorted((shared_data / "hippocampus" / "dicom_hcrop").rglob("*")) if list(path.glob("*.dcm")))
    volume, geometry = read_volume(folder)
    assert volume.shape == geometry.shape_kji and len(volume) == len(list(folder.glob("*.dcm")))


def test_a_4d_file_of_one_frame_is_a_volume(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((1, 3, 4, 5), np.float32), isVector=False), str(tmp_path / "one.nii.gz"))
    assert read_volume(tmp_path / "one.nii.gz")[0].shape == (3, 4, 5)


@pytest.mark.parametrize(
    ("array", "is_vector", "message"),
    [
        (np.zeros((8, 9), np.uint8), False, r"2 axes \(9 x 8\)"),
        (np.zeros((2, 3, 4, 5), np.float32), False, r"4 axes \(5 x 4 x 3 x 2\)"),
        (np.zeros((3, 4, 5, 3), np.uint8), True, "3 values a voxel"),
    ],
)
def test_images_that_are_no_volumes_are_refused(tmp_path: Path, array: np.ndarray, is_vector: bool, message: str) -> None:
    path = tmp_path / "image.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=is_vector), str(path))
    with pytest.raises(ValueError, match=message):
        read_volume(path)


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"broken\.nii\.gz cannot be read"):
        read_volume(tmp_path / "broken.nii.gz")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_volume(tmp_path / "absent.nii.gz")
    with pytest.raises(ValueError, match="holds no DICOM series"):
        (tmp_path / "empty").mkdir()
        read_volume(tmp_path / "empty")


@pytest.mark.parametrize(
    ("field", "value"), [("space directions", "(0,0,0) (0,1,0) (0,0,1)"), ("space directions", "(1,0,0) (1,0,0) (0,0,1)")]
)
def test_zero_spacing_and_singular_directions_are_refused(tmp_path: Path, field: str, value: str) -> None:
    header = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "sizes: 2 2 2",
        "encoding: raw",
        "space: left-posterior-superior",
    ]
    header += [f"{field}: {value}", "space origin: (0,0,0)", "", ""]
    (tmp_path / "bad.nrrd").write_bytes("\n".join(header).encode() + bytes(8))
    with pytest.raises(ValueError, match=r"bad\.nrrd"):
        read_volume(tmp_path / "bad.nrrd")


def test_names_colors_and_codes_survive(tmp_path: Path) -> None:
    geometry = Geometry((5, 6, 7), OBLIQUE)
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[1:3, 2:4, 1:6], labelmap[3:5, 4:6, 2:4] = 1, 7
    write_segmentation(tmp_path / "x.seg.nrrd", labelmap, geometry, LABELS)
    read = read_segmentation(tmp_path / "x.seg.nrrd")
    assert np.array_equal(read.labelmap_kji, labelmap)
    assert read.labels == LABELS
    assert read.geometry.matches(geometry)


def test_plain_label_volumes_are_read_by_number(tmp_path: Path) -> None:
    geometry = Geometry((5, 6, 7), OBLIQUE)
    labelmap = np.zeros(geometry.shape_kji, np.uint8)
    labelmap[0, 0, 0] = 4
    write_segmentation(tmp_path / "x.nii.gz", labelmap, geometry, LABELS)
    read = read_segmentation(tmp_path / "x.nii.gz")
    assert [label.value for label in read.labels] == [4] and np.array_equal(read.labelmap_kji, labelmap)


def test_a_file_that_cannot_be_overwritten_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = Geometry((5, 6, 7), OBLIQUE)
    path = tmp_path / "x.seg.nrrd"
    write_segmentation(path, np.ones(geometry.shape_kji, np.uint8), geometry, LABELS[:1])
    before = path.read_bytes()

    def disk_full(image: object, name: str, **options: object) -> None:
        Path(name).write_bytes(b"half")
        raise RuntimeError("sitk::ERROR: No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", disk_full)
    with pytest.raises(OSError, match="could not be written"):
        write_segmentation(path, np.zeros(geometry.shape_kji, np.uint8), geometry, LABELS[:1])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x.seg.nrrd"]


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".seg.nrrd"])
@pytest.mark.parametrize("lost", ["voxels", "place", "last bytes"])
def test_what_a_writer_did_not_write_in_silence_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, lost: str
) -> None:
    (tmp_path / f"x{suffix}").write_bytes(b"old")
    write = sitk.WriteImage

    def on_a_full_disk(image: sitk.Image, name: str, **options: object) -> None:
        damaged = sitk.Image(image)
        if lost == "place":
            damaged.SetOrigin((1, 2, 3))
        elif lost == "voxels":
            damaged[2, 1, 1] = 9
        write(damaged, name, **options)
        if lost == "last bytes":  # of the check sum, where the voxels are compressed
            os.truncate(name, os.path.getsize(name) - 3)

    monkeypatch.setattr(sitk, "WriteImage", on_a_full_disk)
    geometry = Geometry((5, 6, 7), OBLIQUE)
    with pytest.raises(OSError, match="could not be written whole"):
        write_segmentation(tmp_path / f"x{suffix}", np.ones(geometry.shape_kji, np.uint8), geometry, LABELS[:1])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {f"x{suffix}": b"old"}


@pytest.mark.parametrize("name", ["x.png", "x.seg", "x.mhd"])
def test_other_formats_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"ends in \.seg\.nrrd"):
        write_segmentation(tmp_path / name, np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2), np.eye(4)), LABELS)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_segmentation(tmp_path / "no" / "x.nii.gz", np.zeros((2, 2, 2), np.uint8), Geometry((2, 2, 2), np.eye(4)), LABELS)
