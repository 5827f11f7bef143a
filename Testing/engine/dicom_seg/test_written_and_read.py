"""DICOM segmentations of any series: read back, and by two other programs' readers, they are what was written."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_files import placed, write_enhanced, write_slices
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.dicom_seg.segment_items import Algorithm
from mednextseg.dicom_seg.source import read_source
from mednextseg.dicom_seg.writing import check_dicom_seg, write_dicom_seg
from mednextseg.geometry import Geometry
from mednextseg.labels.codes import coded_label
from mednextseg.labels.label import Label
from mednextseg.layered_segmentation import read_layered
from mednextseg.volume_io import read_volume

SHAPE_KJI = (5, 6, 9)
VOLUME_KJI = np.random.default_rng(0).integers(0, 400, SHAPE_KJI).astype(np.int16)
LABELS = (
    coded_label(3, "left kidney"),
    coded_label(8, "Hepatic tumor"),
    Label(4, "Größe unbekannt", (12, 250, 3)),
    Label(300, "tumor in brain", (0, 0, 0), {
        "category": ("SCT", "49755003", "Morphologically Altered Structure"), "type": ("SCT", "108369006", "Neoplasm"),
        "region": ("SCT", "12738006", "Brain"), "region_modifier": ("SCT", "7771000", "Left")}),
)  # fmt: skip
ALGORITHM = Algorithm("tiny", "1.2.0", {"weights_sha256": "ab" * 32, "run": "cd" * 32})
FOLDERS = itertools.count()


def written(folder: Path, series: Path, labelmap_kji: np.ndarray, geometry: Geometry) -> Path:
    source = read_source([series])
    check_dicom_seg(folder / "out.dcm", [series], source, geometry, LABELS, ALGORITHM)
    write_dicom_seg(folder / "out.dcm", labelmap_kji, geometry, LABELS, source, ALGORITHM)
    return folder / "out.dcm"


def some_labels(seed: int) -> np.ndarray:
    """Every label somewhere but the last, and slices with none."""
    rng = np.random.default_rng(seed)
    labelmap_kji = rng.choice(np.array([0, 0, 3, 8, 4], np.int16), SHAPE_KJI)
    labelmap_kji[rng.permutation(SHAPE_KJI[0])[:2]] = 0
    return labelmap_kji


@settings(max_examples=5)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.3, 6.0)] * 3),
    st.permutations(range(SHAPE_KJI[0])),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_series_and_labels_come_back(tmp_path: Path, angles, spacing, order, is_enhanced: bool, seed: int) -> None:
    folder = tmp_path / str(next(FOLDERS))
    grid = placed(SHAPE_KJI, spacing, angles)
    if is_enhanced:
        folder.mkdir()
        series = write_enhanced(folder / "in.dcm", VOLUME_KJI, grid, order)
    else:
        series = write_slices(folder / "in", VOLUME_KJI, grid, order)
    volume_kji, geometry = read_volume(series)
    assert np.array_equal(volume_kji, VOLUME_KJI) and geometry.matches(grid)
    labelmap_kji = some_labels(seed)
    path = written(folder, series, labelmap_kji, geometry)
    read = read_layered(path).reaching(geometry)
    assert read.geometry.matches(geometry) and len(read.layers_kji) == 1
    for n, label in enumerate(LABELS):
        assert np.array_equal(read.mask_kji(n), labelmap_kji == label.value)
        assert (read.segments[n].label.name, read.segments[n].label.color) == (label.name, label.color)
        assert read.segments[n].label.terminology == label.terminology
    same_as_highdicom_finds(path, series, labelmap_kji, order if is_enhanced else range(SHAPE_KJI[0]))


def same_as_highdicom_finds(path: Path, series: Path, labelmap_kji: np.ndarray, order) -> None:
    """By the references of each frame to its image; `order` is the slice that each image or frame shows."""
    found = highdicom.seg.segread(path)
    options = {"combine_segments": True, "assert_missing_frames_are_empty": True}
    if series.is_dir():
        files = sorted((pydicom.dcmread(file) for file in series.iterdir()), key=lambda file: int(file.InstanceNumber))
        numbers = found.get_pixels_by_source_instance([file.SOPInstanceUID for file in files], **options)
        assert len(found.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == len(files)
    else:
        numbers = found.get_pixels_by_source_frame(
            pydicom.dcmread(series).SOPInstanceUID, list(range(1, SHAPE_KJI[0] + 1)), **options
        )
    value_of = np.array([0, *(label.value for label in LABELS)])
    assert np.array_equal(value_of[numbers], labelmap_kji[list(order)])
    assert found.NumberOfFrames == sum((labelmap_kji == label.value).any(axis=(1, 2)).sum() for label in LABELS)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray, Geometry]:
    """A segmentation, its series, and what was written."""
    folder = tmp_path_factory.mktemp("case")
    series = write_slices(folder / "in", VOLUME_KJI, placed(SHAPE_KJI, (0.7, 0.9, 2.5), (10, -35, 70)), (3, 1, 4, 0, 2))
    geometry = read_volume(series)[1]
    labelmap_kji = some_labels(1)
    return written(folder, series, labelmap_kji, geometry), series, labelmap_kji, geometry


def test_labels_that_overlap_come_back_each_whole(case, tmp_path: Path) -> None:
    _, series, _, geometry = case
    masks = np.random.default_rng(3).random((len(LABELS), *SHAPE_KJI)) < 0.4
    masks[:, 2], masks[-1] = False, False
    layers = masks * np.array([label.value for label in LABELS], np.int16).reshape(-1, 1, 1, 1)
    read = read_layered(written(tmp_path, series, layers, geometry)).reaching(geometry)
    assert read.overlapping_voxels() > 0
    for n, (label, mask) in enumerate(zip(LABELS, masks, strict=True)):
        assert read.segments[n].label.name == label.name and np.array_equal(read.mask_kji(n), mask)
    nothing = read_layered(written(tmp_path, series, np.zeros_like(layers), geometry))
    assert not any(nothing.mask_kji(n).any() for n in range(len(LABELS)))


def test_it_says_whose_it_is_and_what_made_it(case) -> None:
    path, series, _, _ = case
    found, image = pydicom.dcmread(path), pydicom.dcmread(series / "IM000")
    for keyword in ("PatientName", "PatientID", "PatientSex", "StudyInstanceUID", "StudyDescription", "FrameOfReferenceUID"):
        assert found[keyword].value == image[keyword].value, keyword
    assert found.SeriesInstanceUID != image.SeriesInstanceUID and found.Modality == "SEG"
    (algorithm,) = found.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("tiny", "1.2.0")
    assert f"weights_sha256={'ab' * 32}" in algorithm.AlgorithmParameters


def test_a_segmentation_without_a_voxel_keeps_its_segments(tmp_path: Path, case) -> None:
    _, series, labelmap_kji, geometry = case
    read = read_layered(written(tmp_path, series, labelmap_kji * 0, geometry))
    assert [segment.label.name for segment in read.segments] == [label.name for label in LABELS] and not read.layers_kji.any()


def program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed (requirements-dev.txt)")
    return found


def test_the_validator_of_dicom3tools_finds_nothing_wrong(tmp_path: Path, case) -> None:
    enhanced = write_enhanced(tmp_path / "in.dcm", VOLUME_KJI, placed(SHAPE_KJI, (1, 1, 2), (0, 20, 0)), (4, 2, 0, 1, 3))
    other = written(tmp_path, enhanced, some_labels(2), read_volume(enhanced)[1])
    for path in (case[0], other):
        checked = subprocess.run([program("dciodvfy"), str(path)], capture_output=True, text=True, check=False)
        lines = (checked.stdout + checked.stderr).splitlines()
        assert "Segmentation" in lines
        assert [line for line in lines if "Error" in line or "Warning" in line] == []


def test_dcmqi_reads_the_same_voxels(tmp_path: Path, case) -> None:
    path, _, labelmap_kji, geometry = case
    command = [program("segimage2itkimage"), "--inputDICOM", str(path), "--outputDirectory", str(tmp_path), "--mergeSegments"]
    subprocess.run(command, capture_output=True, check=True)
    read = read_layered(tmp_path / "1.nrrd").reaching(geometry)
    assert read.geometry.matches(geometry, 1e-2)
    value_of = np.array([0, *(label.value for label in LABELS)])
    assert np.array_equal(value_of[read.layers_kji[0]], labelmap_kji)
