"""DICOM segmentations as other programs write them: every voxel at its place, or a refusal in one sentence."""

import itertools
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_files import others_seg, placed, saved, write_slices
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.layered_segmentation import read_layered
from mednextseg.volume_io import read_volume

SHAPE_KJI = (4, 5, 7)
GRID = placed(SHAPE_KJI, (0.7, 0.9, 2.5), (10, -35, 70))
FOLDERS = itertools.count()


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slices(tmp_path_factory.mktemp("series") / "in", np.zeros(SHAPE_KJI, np.int16), GRID)


@settings(max_examples=3)
@given(st.integers(0, 10_000))
def test_overlapping_segments_become_layers_whatever_the_order_of_frames(tmp_path: Path, series: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((*SHAPE_KJI, 3)) < (0.4, 0.1, 0.02)
    masks[0] = masks[1, ..., 0] = masks[1, ..., 2] = False
    masks[1, 0, 0, 1] = masks[2, ..., 1] = True
    dataset = others_seg(series, masks)
    order = rng.permutation(int(dataset.NumberOfFrames))
    frames = dataset.pixel_array[order]
    dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[n] for n in order]
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    read = read_layered(saved(dataset, tmp_path / f"{next(FOLDERS)}.dcm")).reaching(GRID)
    assert read.geometry.matches(GRID) and len(read.layers_kji) >= 2
    for n in range(3):
        assert np.array_equal(read.mask_kji(n), masks[..., n])


def test_fractions_count_from_a_half_on(tmp_path: Path, series: Path, caplog: pytest.LogCaptureFixture) -> None:
    fractions = np.linspace(0, 1, int(np.prod(SHAPE_KJI))).reshape(*SHAPE_KJI, 1)
    read = read_layered(saved(others_seg(series, fractions, "FRACTIONAL"), tmp_path / "fractions.dcm")).reaching(GRID)
    assert np.array_equal(read.mask_kji(0), np.round(fractions[..., 0] * 255) >= 127.5)
    assert "at least a half" in caplog.text


def test_labelmaps_and_packed_frames_are_read(tmp_path: Path, series: Path) -> None:
    numbers_kji = np.random.default_rng(0).integers(0, 4, SHAPE_KJI).astype(np.uint8)
    dataset = others_seg(series, numbers_kji, "LABELMAP")
    read = read_layered(saved(dataset, tmp_path / "labelmap.dcm")).reaching(GRID)
    assert np.array_equal(read.layers_kji[0], numbers_kji)
    assert [segment.label.name for segment in read.segments] == ["part 1", "part 2", "part 3"]
    dataset.compress(pydicom.uid.RLELossless)
    read = read_layered(saved(dataset, tmp_path / "packed.dcm")).reaching(GRID)
    assert np.array_equal(read.layers_kji[0], numbers_kji)


def cut_off(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:4]


def no_positions(dataset: pydicom.Dataset) -> None:
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence


def uneven(dataset: pydicom.Dataset) -> None:
    place = dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(x) + 0.7 for x in place.ImagePositionPatient]


def turned(dataset: pydicom.Dataset) -> None:
    item = dataset.PerFrameFunctionalGroupsSequence[1]
    item.PlaneOrientationSequence = highdicom.PlaneOrientationSequence("PATIENT", [1, 0, 0, 0, 1, 0])


def unknown_segment(dataset: pydicom.Dataset) -> None:
    dataset.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9


def an_image(dataset: pydicom.Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def of_frames_said_wrongly(dataset: pydicom.Dataset) -> None:
    dataset.NumberOfFrames = 100


def unknown_compression(dataset: pydicom.Dataset) -> None:
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f" * 10] * int(dataset.NumberOfFrames))
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_off, "cut off"),
        (no_positions, "where its frames lie"),
        (uneven, "uneven|beside an even grid"),
        (turned, "differ in direction"),
        (unknown_segment, "belongs to segment 9"),
        (an_image, "no DICOM segmentation .CT Image Storage"),
        (of_frames_said_wrongly, "where its frames lie"),
        (unknown_compression, "nothing here decodes them"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, series: Path, spoil, message: str) -> None:
    masks = np.ones((*SHAPE_KJI, 2), bool)
    dataset = others_seg(series, masks)
    spoil(dataset)
    path = saved(dataset, tmp_path / "spoiled.dcm")
    with pytest.raises(ValueError, match=message) as refused:
        read_layered(path)
    text = str(refused.value)
    assert "\n" not in text and text.endswith(".") and str(path) in text


def test_a_segmentation_is_no_image(tmp_path: Path, series: Path) -> None:
    path = saved(others_seg(series, np.ones((*SHAPE_KJI, 1), bool)), tmp_path / "seg.dcm")
    (tmp_path / "in").mkdir()
    for file in (*series.iterdir(), path):
        (tmp_path / "in" / file.name).write_bytes(file.read_bytes())
    assert read_volume(tmp_path / "in")[0].shape == SHAPE_KJI
    with pytest.raises(ValueError, match="no image that can be read"):
        read_volume(path)
