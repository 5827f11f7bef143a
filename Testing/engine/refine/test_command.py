"""`mednextseg refine`: a journal replayed from files gives what the session gave."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny_models import ball

from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.layered_segmentation import read_layered
from mednextseg.refine import load_prompter
from mednextseg.refine.refinement import Refinement
from mednextseg.refine.slices.slice_plane import plane_through, voxel_plane
from mednextseg.segmentation_io import read_segmentation, write_segmentation
from mednextseg.volume_io import image_of, read_volume, write_image

SHAPE_KJI, CENTER_KJI = (16, 32, 36), (8, 16, 18)


@pytest.fixture
def recorded(tmp_path: Path):
    """Files of a volume, a segmentation and a journal; and the mask at the end of the session that wrote the journal."""
    geometry = Geometry(SHAPE_KJI, np.diag([-1.0, -1.25, 2.0, 1.0]))
    truth = ball(SHAPE_KJI, CENTER_KJI, (5, 9, 10))
    volume = (100 + 80 * truth + np.random.default_rng(0).normal(0, 4, SHAPE_KJI)).astype(np.float32)
    labelmap = truth.astype(np.uint8)
    labelmap[8, :, 18:] = 0  # half of a slice is missing
    labelmap[:2, :4, :4] = 2
    write_image(image_of(volume, geometry), tmp_path / "image.nrrd")
    write_segmentation(
        tmp_path / "before.seg.nrrd", labelmap, geometry, [Label(1, "ball", (200, 90, 70)), Label(2, "corner", (70, 90, 200))]
    )
    session = Refinement(volume, geometry, load_prompter("random_walker"), labelmap == 1, geometry)
    click = geometry.ras_from_ijk(np.array([23.0, 16.0, 8.0]))
    session.add_point(click, True, plane_through(geometry, click, (0, -1, 0), (-1, 0, 0)))
    session.add_point(click, True, plane_through(geometry, click, (0, -0.6, 0.8), (-1, 0, 0)))
    session.journal.save(tmp_path / "journal.json")
    return tmp_path, labelmap, session.preview_segment()


def arguments(folder: Path, segment: str = "ball") -> list[str]:
    files = [str(folder / "image.nrrd"), str(folder / "before.seg.nrrd"), "--journal", str(folder / "journal.json")]
    return ["refine", *files, "--segment", segment, "-o", str(folder / "after.seg.nrrd")]


def test_a_journal_gives_the_identical_segment_and_keeps_the_others(recorded, capsys) -> None:
    folder, before, expected = recorded
    assert main([*arguments(folder), "--json"]) == 0
    after = read_segmentation(folder / "after.seg.nrrd")
    assert not np.array_equal(expected, before == 1)
    assert np.array_equal(after.labelmap_kji == 1, expected)
    assert np.array_equal(after.labelmap_kji == 2, before == 2)
    assert [label.name for label in after.labels] == ["ball", "corner"]
    summary = json.loads(capsys.readouterr().out)
    assert (summary["actions"], summary["added"]) == (2, int((expected & (before != 1)).sum()))


def test_layers_ids_and_tags_come_out_as_they_went_in(recorded) -> None:
    folder, before, expected = recorded
    layers_kji = np.stack([before == 1, np.ones(SHAPE_KJI, bool)], -1).astype(np.uint8)
    image = sitk.GetImageFromArray(layers_kji, isVector=True)
    image.CopyInformation(sitk.ReadImage(str(folder / "before.seg.nrrd")))
    for number, name in enumerate(("ball", "ball")):
        row = {"ID": f"Segment_{number}", "Name": name, "LabelValue": "1", "Layer": str(number), "Tags": f"A.B:{number}|"}
        for key, text in {**row, "Color": "0.2 0.4 0.6"}.items():
            image.SetMetaData(f"Segment{number}_{key}", text)
    sitk.WriteImage(image, str(folder / "before.seg.nrrd"))
    assert main(arguments(folder, "Segment_0")) == 0
    after = read_layered(folder / "after.seg.nrrd")
    assert np.array_equal(after.mask_kji(0), expected) and after.mask_kji(1).all()
    assert [(s.id, s.label.name, s.fields["Tags"], s.fields["Color"]) for s in after.segments] == [
        ("Segment_0", "ball", "A.B:0|", "0.2 0.4 0.6"),
        ("Segment_1", "ball", "A.B:1|", "0.2 0.4 0.6"),
    ]


@pytest.mark.parametrize("name", ["image.nrrd", "before.seg.nrrd"])
def test_an_output_that_is_an_input_is_refused(recorded, capsys, name: str) -> None:
    folder, _, _ = recorded
    before = (folder / name).read_bytes()
    assert main([*arguments(folder), "-o", str(folder / name)]) == 1
    assert f"is the input {name}, which would be lost" in capsys.readouterr().err
    assert (folder / name).read_bytes() == before


def test_a_segment_that_is_not_there_is_named_with_those_that_are(recorded, capsys) -> None:
    folder, _, _ = recorded
    assert main(arguments(folder, "liver")) == 1
    assert 'no segment "liver"; its segments are: ball, corner' in capsys.readouterr().err
    assert not (folder / "after.seg.nrrd").exists()


def test_a_journal_of_another_network_is_refused(recorded, capsys) -> None:
    folder, _, _ = recorded
    journal = json.loads((folder / "journal.json").read_text())
    (folder / "journal.json").write_text(json.dumps({**journal, "model_hash": "of-another"}))
    assert main(arguments(folder)) == 1
    assert "install the model it was made with" in capsys.readouterr().err


def test_a_journal_that_does_not_know_its_volume_is_replayed_with_a_word(recorded, capsys) -> None:
    folder, *_ = recorded
    journal = json.loads((folder / "journal.json").read_text())
    assert main(arguments(folder)) == 0 and "older version" not in capsys.readouterr().err
    (folder / "journal.json").write_text(json.dumps({**journal, "version": 2, "volume": None}))
    assert main(arguments(folder)) == 0
    assert "is of an older version and does not say which volume it was made on" in capsys.readouterr().err


@pytest.mark.parametrize("slices", ["axial", "sagittal"])
def test_a_segment_is_repaired_without_a_journal(recorded, capsys, slices: str) -> None:
    folder, before, _ = recorded
    volume_kji, geometry = read_volume(folder / "image.nrrd")
    files = [str(folder / "image.nrrd"), str(folder / "before.seg.nrrd"), "-o", str(folder / "after.seg.nrrd")]
    options = ["--segment", "ball", "--prompter", "random_walker", "--display-range", "60", "220", "--json"]
    assert main(["refine", *files, *options, "--repair", slices]) == 0
    expected = Refinement(volume_kji, geometry, load_prompter("random_walker"), before == 1, geometry, (60.0, 220.0))
    expected.repair_slices(voxel_plane(geometry, 0 if slices == "axial" else 2, 5))
    after = read_segmentation(folder / "after.seg.nrrd").labelmap_kji
    wanted = expected.preview_segment()  # of the same slices, though not turned the same way
    assert ((after == 1) ^ wanted).sum() < 0.02 * wanted.sum() and not np.array_equal(after, before)
    assert np.array_equal(after == 2, before == 2)
    summary = json.loads(capsys.readouterr().out)
    assert 0 < summary["slices_answered"] <= summary["slices"] and summary["added"] == int(((after == 1) & (before != 1)).sum())


def test_a_journal_and_a_repair_at_once_are_refused(recorded, capsys) -> None:
    folder, *_ = recorded
    with pytest.raises(SystemExit):
        main([*arguments(folder), "--repair", "axial"])
    assert "not allowed with argument" in capsys.readouterr().err
