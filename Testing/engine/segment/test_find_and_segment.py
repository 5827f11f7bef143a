"""A fine model finds its own regions through a coarse one: the same labels as in regions that the user gives, on either side by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from tiny_models import ball, copy_with, step_network, tiny_mednext, write_package
from two_balls import CORE, LEFT_SHELL, PLAIN, RIGHT_SHELL, SHAPE, SIDES, expected_labels, two_balls, write_chain

from mednextseg import load_model, segment
from mednextseg.cli import main
from mednextseg.evaluate.review import predict_review_slices
from mednextseg.geometry import Geometry, axis_map
from mednextseg.machine import HOME_VARIABLE
from mednextseg.models.model_card import read_card
from mednextseg.segment import auto_segmenter
from mednextseg.segment.find_and_segment import find_regions
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.run_plan import plan_run
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a coarse model and fine ones."""
    home = tmp_path_factory.mktemp("home")
    models = home / "models"
    write_chain(models)
    core = {"model": "coarse", "labels": ["core"], "margin_mm": 4}
    write_package(models / "anything", step_network((25, 75)), ("left shell", "core"), **PLAIN, region_from=core)
    write_package(models / "random", tiny_mednext(), ("left", "right"), **PLAIN, region_from={**core, "margin_mm": 1000})
    return home


@pytest.fixture(autouse=True)
def installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home))


GRID = Geometry(SHAPE, np.eye(4))


def test_both_sides_are_found_named_and_labeled_to_the_voxel() -> None:
    volume = two_balls()
    labelmap, report = segment(volume, GRID, load_model("fine"))
    assert np.array_equal(labelmap, expected_labels(volume))
    assert [(label.value, label.name) for label in report.labels] == [
        (1, "left shell"), (2, "left core"), (3, "right shell"), (4, "right core"),
    ]  # fmt: skip
    assert report.volumes_ml == {label.name: pytest.approx((labelmap == label.value).sum() / 1000) for label in report.labels}
    assert [region["names"] for region in report.regions] == [["left ball"], ["right ball"]]
    assert report.regions[0]["bounds_mm"] == [7, 21, 6, 22, 5, 19] and not report.regions[0]["enlarged"]
    assert "coarse found left ball (looked at R 7 to 21, A 6 to 22, S 5 to 19 mm)." in report.notes
    assert report.coarse_model["id"] == "coarse" and report.model_id == "fine" and "find region" in report.seconds_by_phase
    assert json.loads(json.dumps(report.to_dict()))["labels"][3]["name"] == "right core"


@pytest.mark.parametrize("code", ["LPS", "SAL", "oblique"])
def test_however_the_volume_lies_the_sides_are_the_patients(code: str) -> None:
    volume = two_balls()
    if code == "oblique":
        tilt = np.eye(4)
        tilt[:3, :3] = Rotation.from_euler("xyz", (8, -6, 10), degrees=True).as_matrix()
        tilt[:3, 3] = 40, -9, 3
        grid = GRID.transformed(tilt)
        labelmap, _ = segment(volume, grid, load_model("fine"))
        assert np.array_equal(labelmap, expected_labels(volume))
        return
    turn = axis_map("RAS", code)
    labelmap, _ = segment(np.ascontiguousarray(turn.apply(volume)), turn.apply_geometry(GRID), load_model("fine"))
    assert np.array_equal(turn.invert(labelmap), expected_labels(volume))


def test_labels_that_are_wanted_come_on_both_sides_and_a_region_or_a_small_volume_is_as_before() -> None:
    volume, model = two_balls(), load_model("fine")
    labelmap, report = segment(volume, GRID, model, labels=["Core"])
    assert [label.name for label in report.labels] == ["left core", "right core"]
    assert np.array_equal(labelmap, np.where(volume == CORE, expected_labels(volume), 0))
    region = RegionOfInterest((34, 54, 6, 22, 4, 20))
    for arguments in ({"roi": region}, {"whole": True}):
        given, told = segment(volume, GRID, model, **arguments)
        plain, _ = auto_segmenter.segment(volume, GRID, model, **arguments)
        assert np.array_equal(given, plain) and [label.name for label in told.labels] == ["Shell", "Core"]
        assert told.regions == [] and told.coarse_model is None
    small = np.ascontiguousarray(volume[2:26, 2:28, 2:26])
    assert [label.name for label in segment(small, Geometry(small.shape, np.eye(4)), model)[1].labels] == ["Shell", "Core"]


def test_without_the_coarse_model_the_sentence_names_it(home: Path, tmp_path: Path) -> None:
    orphan = load_model(copy_with(home / "models" / "fine", tmp_path / "orphan", region_from={**SIDES, "model": "elsewhere"}))
    with pytest.raises(
        ValueError, match=r"needs a region .*'elsewhere', which would find one, is not installed; give a region"
    ):
        segment(two_balls(), GRID, orphan)
    able = load_model(copy_with(orphan.folder, tmp_path / "able", needs_region=False))
    labelmap, report = segment(two_balls(), GRID, able)
    assert (labelmap > 0).any() and "The model elsewhere is not installed, so the whole volume was looked at." in report.notes
    foreign = load_model(copy_with(able.folder, tmp_path / "foreign", region_from={**SIDES, "labels": ["liver"]}))
    with pytest.raises(ValueError, match="the model coarse has no label 'liver'"):
        segment(two_balls(), GRID, foreign)


def test_nothing_found_is_one_sentence_and_one_side_alone_is_told() -> None:
    model, volume = load_model("fine"), two_balls()
    with pytest.raises(
        ValueError, match="coarse found no left ball and no right ball in the volume, so that fine has no region"
    ):
        segment(np.zeros(SHAPE, np.float32), GRID, model)
    volume[:, :, 30:] = 0
    labelmap, report = segment(volume, GRID, model)
    assert np.array_equal(labelmap, expected_labels(volume))
    assert "coarse found no right ball, so nothing was looked for there." in report.notes
    assert report.volumes_ml["right core"] == 0


def test_a_model_that_knows_whole_volumes_falls_back_to_them_exactly() -> None:
    model, volume = load_model("anything"), np.where(two_balls() == CORE, RIGHT_SHELL, two_balls())
    labelmap, report = segment(volume, GRID, model)
    plain, _ = auto_segmenter.segment(volume, GRID, model)
    assert plain.any() and np.array_equal(labelmap, plain) and report.labels == list(model.card.labels)
    assert "coarse found no core in the volume, so the whole volume was looked at." in report.notes


@pytest.mark.parametrize(("radius", "enlarged", "everywhere"), [(6, False, False), (8, True, False), (13, False, True)])
def test_a_region_that_is_too_small_grows_once_and_then_gives_way(radius: int, enlarged: bool, everywhere: bool) -> None:
    """The coarse model finds the core of 3 mm; with 4 mm of margin the box reaches 7 mm, enlarged 11 mm."""
    volume = np.zeros(SHAPE, dtype=np.float32)
    volume[ball(SHAPE, (12, 14, 30), (radius,) * 3)] = LEFT_SHELL
    volume[ball(SHAPE, (12, 14, 30), (3, 3, 3))] = CORE
    labelmap, report = segment(volume, GRID, load_model("anything"))
    assert np.array_equal(labelmap, np.digitize(volume, (25, 75)))
    assert [region["enlarged"] for region in report.regions] == ([] if everywhere else [enlarged])
    assert any("more than the region of core holds, even enlarged, so the whole" in note for note in report.notes) == everywhere


def test_a_model_of_boxes_keeps_the_enlarged_one_and_says_so(home: Path, tmp_path: Path) -> None:
    model = load_model(copy_with(home / "models" / "anything", tmp_path / "boxed", needs_region=True))
    volume = np.zeros(SHAPE, dtype=np.float32)
    volume[ball(SHAPE, (12, 14, 30), (13, 13, 13))] = LEFT_SHELL
    volume[ball(SHAPE, (12, 14, 30), (3, 3, 3))] = CORE
    labelmap, report = segment(volume, GRID, model)
    inside = RegionOfInterest((19, 41, 3, 25, 1, 23)).mask(GRID)
    assert np.array_equal(labelmap, np.where(inside, np.digitize(volume, (25, 75)), 0))
    assert any("look at its borders" in note for note in report.notes)


def test_a_box_as_large_as_the_volume_is_the_plain_run_exactly() -> None:
    volume = two_balls() + np.random.default_rng(0).normal(0, 2, SHAPE).astype(np.float32)
    labelmap, report = segment(volume, GRID, load_model("random"))
    plain, _ = auto_segmenter.segment(volume, GRID, load_model("random"))
    assert set(np.unique(plain)) == {0, 1, 2} and np.array_equal(labelmap, plain) and len(report.regions) == 1


def test_a_moved_object_gets_the_same_labels_moved(home: Path, tmp_path: Path) -> None:
    source = {"model": "coarse", "labels": ["left ball"], "margin_mm": 3}
    model = load_model(
        copy_with(home / "models" / "random", tmp_path / "near", region_from=source, patch_size_kji=[16, 16, 16])
    )
    shape, move = (40, 44, 48), (2, 1, 3)
    volume = LEFT_SHELL * ball(shape, (18, 20, 20), (4, 5, 4)).astype(np.float32)
    first, _ = segment(volume, Geometry(shape, np.eye(4)), model)
    second, _ = segment(np.roll(volume, move, (0, 1, 2)), Geometry(shape, np.eye(4)), model)
    assert set(np.unique(first)) == {0, 1, 2} and np.array_equal(np.roll(first, move, (0, 1, 2)), second)


def test_a_small_structure_in_a_large_volume_costs_few_windows(home: Path, tmp_path: Path) -> None:
    """The coarse model looks at voxels of 4 mm."""
    quick = write_package(
        tmp_path / "home" / "models" / "quick", step_network((15, 45)), ("ball", "core"), **PLAIN, spacing_kji_mm=[4, 4, 4]
    )
    source = {"model": str(quick), "labels": ["ball"], "margin_mm": 8}
    small = {"region_from": source, "patch_size_kji": [16, 16, 16]}
    model = load_model(copy_with(home / "models" / "anything", tmp_path / "fine", **small))
    volume = LEFT_SHELL * ball((96, 96, 96), (40, 50, 60), (10, 9, 8)).astype(np.float32)
    grid = Geometry(volume.shape, np.eye(4))
    labelmap, report = segment(volume, grid, model)
    assert np.array_equal(labelmap, volume > 0)
    assert report.windows.forward_passes < plan_run(grid, model, None, SegmentRecipe(), "cpu", whole=True).forward_passes / 4


def test_what_two_sides_claim_belongs_to_the_nearer_one(home: Path, tmp_path: Path) -> None:
    wide = load_model(copy_with(home / "models" / "fine", tmp_path / "wide", region_from={**SIDES, "margin_mm": 25}))
    labelmap, report = segment(two_balls(), GRID, wide)
    assert len(report.regions) == 2 and np.array_equal(labelmap, expected_labels(two_balls()))


def test_slips_come_before_the_wait_and_progress_never_goes_back() -> None:
    seen: list = []
    with pytest.raises(ValueError, match="has no label 'Rim'"):
        segment(two_balls(), GRID, load_model("fine"), labels=["Rim"], progress=seen.append)
    recipe = SegmentRecipe.from_dict({"normalization": {"CT": {"scheme": "none"}}})
    with pytest.raises(ValueError, match="normalizes the channel"):
        segment(
            two_balls(),
            GRID,
            load_model("fine"),
            recipe=recipe,
            progress=seen.append,
        )
    assert not seen
    segment(two_balls(), GRID, load_model("fine"), progress=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[-1] > 0.98
    assert seen[0].phase == "find region" and {"network", "clean up"} <= {progress.phase for progress in seen}


def test_the_plan_knows_of_both_models() -> None:
    plan = plan_run(GRID, load_model("fine"), None, SegmentRecipe(), "cpu")
    coarse = plan_run(GRID, load_model("coarse"), None, SegmentRecipe(), "cpu")
    assert plan.coarse_model == "coarse" and coarse.coarse_model == ""
    assert plan.forward_passes > coarse.forward_passes and plan.memory_bytes >= coarse.memory_bytes


def test_slices_to_review_are_those_of_the_regions_by_the_segments_names() -> None:
    found = predict_review_slices(two_balls(), GRID, load_model("fine"))
    assert {item.label for item in found} == {"left shell", "left core", "right shell", "right core"}
    assert all((item.center_ras[0] > 29) == item.label.startswith("right") for item in found)


def test_one_region_around_all_structures_gives_no_sides(home: Path, tmp_path: Path) -> None:
    source, volume = {**SIDES, "together": True}, two_balls()
    model = load_model(copy_with(home / "models" / "fine", tmp_path / "together", region_from=source, needs_region=False))
    labelmap, report = segment(volume, GRID, model)
    assert np.array_equal(labelmap, np.where(volume == CORE, 2, volume > 0))
    assert [label.name for label in report.labels] == ["Shell", "Core"]
    (region,) = report.regions
    assert region["names"] == ["left ball", "right ball"] and region["bounds_mm"] == [7, 51, 6, 22, 5, 19]
    one_sided = np.where(np.arange(SHAPE[2]) > 29, 0, volume).astype(np.float32)
    labelmap, report = segment(one_sided, GRID, model)
    assert report.regions[0]["names"] == ["left ball"] and not any("found no" in note for note in report.notes)
    coarse, together = load_model("coarse"), plan_run(GRID, model, None, SegmentRecipe(), "cpu")
    apart = plan_run(GRID, load_model("fine"), None, SegmentRecipe(), "cpu")
    first = plan_run(GRID, coarse, None, SegmentRecipe(), "cpu").forward_passes
    assert 2 * (together.forward_passes - first) == apart.forward_passes - first > 0
    nothing, report = segment(np.zeros_like(volume), GRID, model)
    assert not nothing.any() and any("so the whole volume was looked at" in note for note in report.notes)


def test_the_command_line_writes_both_sides_and_runs_again_when_the_coarse_model_changes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "cases").mkdir()
    write_image(image_of(two_balls().astype(np.int16), GRID), tmp_path / "cases" / "a.nii.gz")
    arguments = ["segment", str(tmp_path / "cases"), "-o", str(tmp_path / "out"), "--model", "fine", "--device", "cpu"]
    assert main(arguments) == 0 and "coarse found right ball" in capsys.readouterr().err
    written = read_segmentation(tmp_path / "out" / "a.seg.nrrd")
    assert [label.name for label in written.labels] == ["left shell", "left core", "right shell", "right core"]
    assert np.array_equal(written.labelmap_kji, expected_labels(two_balls()))
    assert main(arguments) == 0 and "done before" in capsys.readouterr().err
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    copy_with(home / "models" / "fine", tmp_path / "home" / "models" / "fine")
    copy_with(home / "models" / "coarse", tmp_path / "home" / "models" / "coarse", version="1.1.0")
    assert main(arguments) == 0 and "made again" in capsys.readouterr().err
    assert sitk.ReadImage(str(tmp_path / "out" / "a.seg.nrrd")).GetSize() == SHAPE[::-1]


def test_the_card_keeps_the_field_and_refuses_itself(home: Path, tmp_path: Path) -> None:
    card = read_card(home / "models" / "fine")
    assert card.region_from.labels == ("left ball", "right ball")
    with pytest.raises(ValueError, match="region_from must name another model"):
        copy_with(home / "models" / "fine", tmp_path / "fine", id="coarse")
    assert replace(card, region_from=None).to_dict()["region_from"] is None


def test_a_first_look_takes_no_mirrored_views() -> None:
    coarse = load_model("coarse")
    mirrored = replace(coarse, card=replace(coarse.card, tta=True, mirror_axes_kji=(0,)))
    _, report = segment(two_balls(), GRID, mirrored)
    regions, first_look = find_regions(two_balls(), GRID, load_model("fine").card, mirrored, "cpu")
    assert len(regions) == 2 and report.windows.forward_passes == 2 * first_look.windows.forward_passes
    plans = [
        plan_run(GRID, load_model("fine"), None, SegmentRecipe(), "cpu", open_model=lambda _, m=m: m)
        for m in (coarse, mirrored)
    ]
    assert plans[0].forward_passes == plans[1].forward_passes
