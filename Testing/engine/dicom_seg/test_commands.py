"""DICOM segmentations on the command line: a series in, a segmentation out; what cannot be is refused before the network runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import placed, write_enhanced, write_slices
from tiny_models import ball, copy_with, tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.dicom_seg.source import read_source
from mednextseg.layered_segmentation import LayeredSegmentation, read_layered
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.refine import load_prompter
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import plane_through
from mednextseg.volume_io import read_volume

SHAPE_KJI = (8, 12, 16)
GRID = placed(SHAPE_KJI, (1.1, 1.2, 2.0), (5, -10, 80))
TRUTH_KJI = ball(SHAPE_KJI, (4, 6, 8), (2.5, 4, 5))
VOLUME_KJI = (100 + 80 * TRUTH_KJI + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)).astype(np.int16)
REMOVED_BY_ANONYMIZING = ("PatientName", "PatientID", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName", "Manufacturer", "PositionReferenceIndicator", "StudyDescription", "SeriesNumber",
    "InstanceNumber", "SpecificCharacterSet", "Modality")  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("models") / "tiny", tiny_mednext(), ("left kidney", "spleen"))


def run(series: Path, output: Path, model: Path, *more: str) -> int:
    return main(["segment", str(series), "-o", str(output), "--model", str(model), "--device", "cpu", *more])


def masks(path: Path) -> dict[str, np.ndarray]:
    read: LayeredSegmentation = read_layered(path).reaching(GRID)
    return {segment.label.name: read.mask_kji(n) for n, segment in enumerate(read.segments)}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return list(first) == list(second) and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, model: Path) -> dict[str, np.ndarray]:
    """What a run into a .seg.nrrd gives."""
    folder = tmp_path_factory.mktemp("plain")
    assert run(write_slices(folder / "in", VOLUME_KJI, GRID), folder / "out.seg.nrrd", model) == 0
    return masks(folder / "out.seg.nrrd")


@pytest.mark.parametrize("kind", ["slices", "enhanced", "anonymized", "compressed"])
def test_a_series_gives_the_segments_of_a_plain_run(tmp_path: Path, model: Path, plain, kind: str) -> None:
    tags = {**dict.fromkeys(REMOVED_BY_ANONYMIZING), "PatientBirthDate": "1961"} if kind == "anonymized" else None
    if kind == "enhanced":
        series = write_enhanced(tmp_path / "in.dcm", VOLUME_KJI, GRID, (3, 1, 0, 2, 7, 6, 4, 5), tags)
    else:
        series = write_slices(tmp_path / "in", VOLUME_KJI, GRID, (3, 1, 0, 2, 7, 6, 4, 5), tags)
    if kind == "compressed":
        for file in series.iterdir():
            image = pydicom.dcmread(file)
            image.compress(pydicom.uid.JPEGLSLossless)
            image.save_as(file)
    assert run(series, tmp_path / "out.dcm", model) == 0
    assert plain["spleen"].any() and same(masks(tmp_path / "out.dcm"), plain)


def test_a_folder_of_series_becomes_a_folder_of_segmentations_once(tmp_path: Path, model: Path, capsys) -> None:
    for name in ("a.1", "b"):
        write_slices(tmp_path / "cases" / name, VOLUME_KJI[:, ::-1] if name == "b" else VOLUME_KJI, GRID)
    arguments = (tmp_path / "cases", tmp_path / "out", model, "--dicom-seg")
    assert run(*arguments) == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.1.dcm", "b.dcm"]
    assert pydicom.dcmread(tmp_path / "out" / "b.dcm").SegmentSequence[1].SegmentLabel == "spleen"
    capsys.readouterr()
    write_slices(tmp_path / "cases" / "b", VOLUME_KJI, GRID)
    assert run(*arguments) == 0
    said = capsys.readouterr().err
    assert "a.1: done before" in said and "b: done before" not in said


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(LoadedModel, "network_loaders", fail)


def without(keyword: str):
    return lambda folder: write_slices(folder, VOLUME_KJI, GRID, tags={keyword: None})


def one_name_for_all(folder: Path) -> Path:
    write_slices(folder, VOLUME_KJI, GRID)
    for file in folder.iterdir():
        image = pydicom.dcmread(file)
        image.SOPInstanceUID = "1.2.3"
        image.save_as(file)
    return folder


def no_dicom(folder: Path) -> Path:
    shutil.copy(__file__, folder.with_suffix(".nii.gz"))
    return folder.with_suffix(".nii.gz")


def colored(folder: Path) -> Path:
    folder.mkdir()
    file = Path(pydicom.data.get_testdata_file("SC_rgb_rle_2frame.dcm"))
    shutil.copy(file, folder)
    return folder


def a_report(folder: Path) -> Path:
    shutil.copy(pydicom.data.get_testdata_file("reportsi.dcm"), folder.with_suffix(".dcm"))
    return folder.with_suffix(".dcm")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (without("FrameOfReferenceUID"), "lacks its FrameOfReferenceUID"),
        (without("StudyInstanceUID"), "lacks its StudyInstanceUID"),
        (one_name_for_all, "have one SOP Instance UID"),
        (no_dicom, "is no DICOM; give a DICOM series"),
        (colored, "lacks its FrameOfReferenceUID|color"),
        (a_report, "lacks its FrameOfReferenceUID|no image"),
    ],
)
def test_what_cannot_be_referred_to_is_refused(tmp_path: Path, model: Path, no_network, capsys, make, message: str) -> None:
    series = make(tmp_path / "in")
    assert run(series, tmp_path / "out.dcm", model) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert any(part in lines[0] for part in message.split("|"))
    assert not (tmp_path / "out.dcm").exists()


def test_a_label_that_dicom_cannot_name_and_missing_packages_are_told(
    tmp_path: Path, model: Path, no_network, capsys, monkeypatch
) -> None:
    series = write_slices(tmp_path / "in", VOLUME_KJI, GRID)
    labels = [{"value": n, "name": name, "color": [1, 2, 3]} for n, name in ((1, "left" * 20), (2, "right"))]
    assert run(series, tmp_path / "out.dcm", copy_with(model, tmp_path / "long", labels=labels)) == 1
    assert "takes names of 1 to 64 characters" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert run(series, tmp_path / "out.dcm", model) == 1
    assert 'pip install "mednextseg[dicom]"' in capsys.readouterr().err


def test_refine_goes_on_from_a_segmentation_and_refuses_that_of_another_scan(tmp_path: Path, model: Path, capsys) -> None:
    series = write_slices(tmp_path / "in", VOLUME_KJI, GRID)
    assert run(series, tmp_path / "before.dcm", model) == 0
    before_kji = masks(tmp_path / "before.dcm")["spleen"]
    volume_kji, geometry = read_volume(series)
    session = Refinement(volume_kji, geometry, load_prompter("random_walker"), before_kji, geometry)
    click = geometry.ras_from_ijk(np.array([8.0, 6.0, 4.0]))
    session.add_point(click, True, plane_through(geometry, click, geometry.directions_ras[:, 2], geometry.directions_ras[:, 0]))
    session.journal.save(tmp_path / "journal.json")
    more = ["--segment", "spleen", "--journal", str(tmp_path / "journal.json"), "-o", str(tmp_path / "after.seg.nrrd")]
    assert main(["refine", str(series), str(tmp_path / "before.dcm"), *more]) == 0
    after = masks(tmp_path / "after.seg.nrrd")
    assert np.array_equal(after["spleen"], session.preview_segment()) and not np.array_equal(after["spleen"], before_kji)
    other = write_slices(tmp_path / "other", VOLUME_KJI, GRID)
    capsys.readouterr()
    assert main(["refine", str(other), str(tmp_path / "before.dcm"), *more]) == 1
    assert "of another frame of reference" in capsys.readouterr().err
    assert main(["refine", str(series), str(tmp_path / "before.dcm"), *more[:-1], str(tmp_path / "after.dcm")]) == 1
    assert "after.dcm cannot be written; give a name that ends in .seg.nrrd" in capsys.readouterr().err


def test_plain_runs_do_without_pydicom(tmp_path: Path) -> None:
    series = write_slices(tmp_path / "in", VOLUME_KJI, GRID)
    program = (
        "import sys, pathlib; from mednextseg.volume_io import read_volume; import mednextseg.commands.case_output as case\n"
        "inputs = [pathlib.Path(sys.argv[1])]; volume, grid = read_volume(inputs[0])\n"
        "from mednextseg.models.model_card import read_card; from mednextseg.models.library import find_model\n"
        "card = read_card(find_model('hippocampus-mr'))\n"
        "case.case_output(pathlib.Path(sys.argv[2]), inputs).check(grid, [], card)\n"
        "assert not {'pydicom', 'highdicom'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program, str(series), str(tmp_path / "out.seg.nrrd")], env=environment, check=True)


def test_only_the_images_of_the_chosen_time_point_are_referred_to(tmp_path: Path, model: Path, no_network, capsys) -> None:
    series = tmp_path / "in"
    uid = pydicom.uid.generate_uid()
    for number in (1, 2):
        tags = {
            "TemporalPositionIdentifier": number,
            "SeriesInstanceUID": uid,
            "StudyInstanceUID": uid,
            "FrameOfReferenceUID": uid,
        }
        write_slices(series, VOLUME_KJI * number, GRID, range(10 * number, 10 * number + SHAPE_KJI[0]), tags)
    second = {pydicom.dcmread(file).SOPInstanceUID for file in series.glob("IM02*")}
    assert {image.SOPInstanceUID for image in read_source([series], 2).images} == second and len(second) == SHAPE_KJI[0]
    assert run(series, tmp_path / "out.dcm", model) == 1
    assert "choose one with --time-point 1 to 2" in capsys.readouterr().err
