"""Which files of a folder are cases and channels, read on one grid."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.cases.channels import read_channels, stacked_channels
from mednextseg.cases.folders import (
    IMAGE_SUFFIXES,
    case_files,
    case_name,
    channel_name,
    image_files,
    is_folder_of_cases,
)
from mednextseg.geometry import Geometry
from mednextseg.volume_io import image_of, write_image

_OTHER_FILES = ("notes.txt", "._a_0000.nii.gz", ".hidden.nrrd", "a.seg.nrrd", "x.nii.gz.part", "nii.gz")


def names(found: dict[str, list[Path]]) -> dict[str, list[str]]:
    return {case: [file.name for file in files] for case, files in found.items()}


def touch(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).touch()
    return folder


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_]{0,5}[a-z.]?", fullmatch=True).filter(lambda n: not n.endswith(".")), st.integers(1, 4)
    ),
    st.sampled_from([*IMAGE_SUFFIXES, ".NII.GZ", ".Nii", ".NRRD"]),
    st.booleans(),
)
def test_channels_are_found_in_order_whatever_else_lies_there(
    tmp_path_factory: pytest.TempPathFactory, cases: dict[str, int], suffix: str, numbered: bool
) -> None:
    expected = {
        case: [f"{channel_name(case, n)}{suffix}" for n in range(count)] if numbered else [f"{case}{suffix}"]
        for case, count in sorted(cases.items())
    }
    files = [file for channels in expected.values() for file in reversed(channels)]
    folder = touch(tmp_path_factory.mktemp("cases"), *files, *_OTHER_FILES)
    assert names(image_files(folder)) == expected
    assert is_folder_of_cases(folder) is bool(cases)


def test_four_digits_without_a_first_channel_are_part_of_the_name(tmp_path: Path) -> None:
    touch(tmp_path / "plain", "amos_0001.nii.gz", "amos_0004.nii.gz", "2024.nii.gz")
    touch(tmp_path / "numbered", "b_0000.nii.gz", "c_0001_0000.nii.gz")
    assert list(image_files(tmp_path / "plain", channels=1)) == ["2024", "amos_0001", "amos_0004"]
    assert list(image_files(tmp_path / "numbered", channels=1)) == ["b", "c_0001"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a_0000.nii.gz", "a_0002.nii.gz"], "lacks its channel a_0001"),
        (["a_0000.nii.gz", "a_0000.nrrd"], r"both a_0000\.nii\.gz and a_0000\.nrrd; keep one"),
        (["a.nii.gz", "a_0000.nii.gz"], r"both a\.nii\.gz and a_0000\.nii\.gz; keep one"),
        (["a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz"], r"needs 2 file\(s\) a case, but b has another number"),
        (["a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz"], r"with channel numbers \(b_0000\.nii\.gz\) and without \(a_0001"),
        (["x.nrrd", "b_0000.NII.GZ", "b_0001.nii.gz"], r"with channel numbers .*without \(x\.nrrd\); keep one kind"),
    ],
)
def test_a_folder_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_files(touch(tmp_path, *files), channels=2)


def test_a_segmentation_with_names_goes_before_a_plain_volume(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "a.SEG.nrrd", "b.nrrd", "._b.nrrd", "notes.txt")
    assert {case: file.name for case, file in case_files(tmp_path).items()} == {"a": "a.SEG.nrrd", "b": "b.nrrd"}
    assert [case_name(Path(name)) for name in ("x.y.nii.gz", "x.seg.nrrd", "x.png")] == ["x.y", "x", "x"]


def test_channels_on_other_grids_come_onto_the_first(tmp_path: Path) -> None:
    first = Geometry((6, 7, 8), np.diag([1.0, 1.0, 1.0, 1.0]))
    finer = Geometry((11, 13, 15), np.diag([0.5, 0.5, 0.5, 1.0]))
    k, j, i = np.indices(finer.shape_kji) * 0.5
    write_image(image_of(np.ones(first.shape_kji, np.int16), first), tmp_path / "a_0000.nii.gz")
    write_image(image_of((k + 10 * j + 100 * i).astype(np.float32), finer), tmp_path / "a_0001.nii.gz")
    (tmp_path / "a_0001.nii.gz").rename(tmp_path / "a_0001.NII.GZ")
    (files,) = image_files(tmp_path).values()
    notes: list[str] = []
    channels, geometry = read_channels(files, notes.append)
    assert len(notes) == 1 and "Channel 2 lies on another grid" in notes[0]
    k, j, i = np.indices(first.shape_kji)
    assert channels.dtype == np.float32 and geometry.matches(first)
    assert np.allclose(channels, np.stack([np.ones(first.shape_kji), k + 10 * j + 100 * i]), atol=1e-3)
    alone, _ = read_channels(files[:1])
    assert alone.shape == first.shape_kji and alone.dtype == np.int16
    same, _ = stacked_channels([(alone, first), (alone, first)])
    assert np.array_equal(same, np.ones((2, *first.shape_kji))) and same.dtype == np.float32


@settings(max_examples=60)
@given(
    st.tuples(*[st.integers(2, 12)] * 3),
    st.tuples(*[st.floats(0.5, 4)] * 3),
    st.integers(0, 2),
    st.floats(-8, 8),
    st.booleans(),
)
def test_a_channel_covers_the_first_or_is_refused(
    shape: tuple, spacing: tuple, axis: int, shift_voxels: float, larger: bool
) -> None:
    """The second channel is moved along one axis, and has five more voxels on either side of it or none."""
    first = Geometry(shape, np.diag([*spacing[::-1], 1.0]))
    margin = 5 if larger else 0
    start, stop = [0, 0, 0], list(shape)
    start[axis], stop[axis] = -margin, shape[axis] + margin
    matrix = first.cropped(start, stop).ijk_to_ras.copy()
    matrix[2 - axis, 3] += shift_voxels * spacing[axis]
    second = Geometry(tuple(b - a for a, b in zip(start, stop, strict=True)), matrix)
    volumes = [(np.zeros(g.shape_kji, np.float32), g) for g in (first, second)]
    notes: list[str] = []
    if abs(shift_voxels) > margin + 0.51:
        with pytest.raises(ValueError, match="channel 2 does not cover channel 1, which reaches"):
            stacked_channels(volumes, notes.append)
    elif abs(shift_voxels) < margin + 0.49:
        assert stacked_channels(volumes, notes.append)[0].shape == (2, *shape)
        assert len(notes) == (0 if first.matches(second, 1e-2) else 1)
