"""A budget from the recipe or the command line to labels, report and skip map."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_models import ball, copy_with, step_network, write_package
from two_balls import CHANNEL

from mednextseg import load_model, segment
from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.segment.recipe import SegmentRecipe
from mednextseg.segment.roi import RegionOfInterest
from mednextseg.segment.run_plan import plan_run
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image

# Turned against the network's axes, and coarser than its grid along K: eleven windows in a row, of which six are the first look.
GRID = Geometry((8, 16, 96), np.diag([-1.0, 1.0, 2.0, 1.0]))
FULL, LOW = SegmentRecipe(), SegmentRecipe(budget=0.0, margin_mm=1.0)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels what is over 25 and over 75, wherever it is."""
    folder = tmp_path_factory.mktemp("budget") / "steps"
    return write_package(folder, step_network((25, 75)), ("dim", "bright"), channels=CHANNEL, patch_size_kji=[16, 16, 16])


@pytest.fixture(scope="module")
def model(package: Path) -> LoadedModel:
    return load_model(package)


def volume() -> np.ndarray:
    """A bright ball at one end."""
    return 90 * ball(GRID.shape_kji, (4, 8, 20), (2.5, 6, 6)).astype(np.float32)


def test_a_low_budget_gives_the_same_labels_and_says_what_was_looked_at_less(model: LoadedModel) -> None:
    expected, plain = segment(volume(), GRID, model)
    assert not plain.has_skipped and not plain.skip_map_kji(GRID).any()
    labels, report = segment(volume(), GRID, model, recipe=LOW)
    windows = report.windows
    assert np.array_equal(labels, expected)
    assert windows.full + windows.crop + windows.skip == plain.windows.full
    assert 0 < windows.multiply_adds < plain.windows.multiply_adds and windows.skip > 0
    skip_map = report.skip_map_kji(GRID)
    assert skip_map.shape == GRID.shape_kji and set(np.unique(skip_map)) == {0, 2}  # once at the least everywhere
    assert (skip_map[volume() > 0] == 0).all() and (skip_map[:, :, 60:] == 2).any()
    assert json.dumps(report.to_dict()) and "looked_at" not in report.to_dict()


def test_only_the_wanted_labels_count_as_found(model: LoadedModel) -> None:
    dim = volume() / 2  # its label is 1
    _, all_labels = segment(dim, GRID, model, recipe=LOW)
    labels, bright_only = segment(dim, GRID, model, labels=["bright"], recipe=LOW)
    assert bright_only.windows.skip > all_labels.windows.skip and not labels.any()


def test_the_whole_budget_is_the_full_run_whatever_the_policy(model: LoadedModel) -> None:
    image = np.random.default_rng(0).uniform(0, 100, GRID.shape_kji)
    expected, plain = segment(image, GRID, model)
    for recipe in (SegmentRecipe(budget=1), SegmentRecipe(window_policy="coarse"), SegmentRecipe(window_policy="full")):
        labels, report = segment(image, GRID, model, recipe=recipe)
        assert np.array_equal(labels, expected)
        assert replace(report.windows, network_seconds=0) == replace(plain.windows, network_seconds=0)


def test_air_is_a_rule_of_the_card_or_the_recipe(package: Path, model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"background" needs to know what is air, and nothing tells it of MR of steps'):
        segment(volume(), GRID, model, recipe=SegmentRecipe(window_policy="background"))
    with pytest.raises(ValueError, match=r'window_policy "background" has no use for a budget below 1'):
        SegmentRecipe(window_policy="background", budget=0.5)
    with pytest.raises(ValueError, match="tells air_below of the channel CT; the model has: MR"):
        segment(volume(), GRID, model, recipe=SegmentRecipe(air_below={"CT": 1}))
    expected, plain = segment(volume(), GRID, model)
    on_card = load_model(copy_with(package, tmp_path / "on_card", channels=[{**CHANNEL[0], "air_below": 10}]))
    told = {"air_below": {"MR": 10}}
    for opened, recipe in ((on_card, {}), (on_card, {"window_policy": "background"}), (model, told)):
        labels, report = segment(volume(), GRID, opened, recipe=SegmentRecipe(**recipe))
        assert np.array_equal(labels, expected)
        assert 0 < report.windows.full < plain.windows.full == report.windows.full + report.windows.skip
        assert set(np.unique(report.skip_map_kji(GRID))) == {0, 1, 2}


def test_what_lies_outside_a_region_was_not_looked_at(model: LoadedModel) -> None:
    _, report = segment(volume(), GRID, model, roi=RegionOfInterest((-30, -10, 2, 14, 2, 12)))
    skip_map = report.skip_map_kji(GRID)
    assert (skip_map[:, :, 80:] == 1).all() and (skip_map[2:6, 4:12, 14:26] == 0).all()


def test_the_plan_tells_the_fewest_passes(model: LoadedModel) -> None:
    plans = [plan_run(GRID, model, None, SegmentRecipe(budget=budget), "cpu") for budget in (0.0, 0.8, 1.0)]
    assert len({(plan.first_look_passes, plan.every_window_passes) for plan in plans}) == 1
    first_look, everything = plans[0].first_look_passes, plans[0].every_window_passes
    assert first_look == plans[0].forward_passes < plans[1].forward_passes < plans[2].forward_passes == everything
    empty = np.zeros(GRID.shape_kji, dtype=np.float32)
    _, report = segment(empty, GRID, model, recipe=LOW)
    assert report.windows.forward_passes == plans[0].forward_passes
    assert report.memory.total == plans[0].memory_bytes


def test_the_command_line_writes_the_skip_map(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_image(image_of(volume(), GRID), tmp_path / "volume.nii.gz")
    command = ["segment", str(tmp_path / "volume.nii.gz"), "-o", str(tmp_path / "out.seg.nrrd"), "--model", str(package)]
    assert main([*command, "--budget", "0", "--skip-map", str(tmp_path / "skipped.seg.nrrd")]) == 0
    out = capsys.readouterr().out
    assert " windows looked at (" in out
    written = read_segmentation(tmp_path / "skipped.seg.nrrd")
    _, report = segment(volume(), GRID, load_model(package), recipe=SegmentRecipe(budget=0))
    assert np.array_equal(written.labelmap_kji, report.skip_map_kji(GRID))
    assert {label.name for label in written.labels} == {"not looked at", "looked at less often"}
    assert main([*command, "--skip-map", str(tmp_path / "volume.nii.gz")]) != 0
    assert main([*command, "--budget", "2"]) != 0
    assert "the recipe's budget must be a share from 0 to 1, got 2.0." in capsys.readouterr().err
