"""Training of ClickNet: what it learns from, how sessions go on, and that a run can be stopped and resumed."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from mednextseg.adapt.click_net.cache import build_cache, open_cache
from mednextseg.adapt.click_net.clicks import SimulatedUser
from mednextseg.adapt.click_net.recipe import ClickNetRecipe, ClickNetSource
from mednextseg.adapt.click_net.regions import felzenszwalb_regions
from mednextseg.adapt.click_net.sessions import SessionPool
from mednextseg.adapt.click_net.synthetic import paint_labels, random_shapes
from mednextseg.adapt.click_net.trainer import ClickNetTrainer, click_loss, learning_rate_at
from mednextseg.adapt.click_net.training import package_click_net
from mednextseg.adapt.click_net.validation import validation_views
from mednextseg.adapt.click_net.views import ViewSampler
from mednextseg.adapt.resumable_training import LAST_CHECKPOINT, LOG_FILE
from mednextseg.models.weights import read_safetensors, write_safetensors
from mednextseg.networks.click_net import build_click_net
from mednextseg.refine import Prompts, load_prompter

_RECIPE = Path(__file__).parents[3] / "MedNeXtSegment" / "Resources" / "Models" / "clicknet" / "training_recipe.json"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Two small 2D sets in the layout of real ones: painted random shapes."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for name in ("first", "second"):
        for part in ("images", "labels"):
            (root / name / part).mkdir(parents=True)
        for n in range(6):
            labels = (random_shapes((80, 100), generator) % 4).astype(np.uint8)
            Image.fromarray((paint_labels(labels, generator) * 255).astype(np.uint8)).save(root / name / "images" / f"{n}.png")
            Image.fromarray(labels).save(root / name / "labels" / f"{n}.png")
        split = {"train": ["0", "1", "2", "3"], "val": ["4", "5"]}
        (root / name / "split.json").write_text(json.dumps(split))
    return root


@pytest.fixture(scope="module")
def recipe():
    first, second = (ClickNetSource(name, "images_2d", name) for name in ("first", "second"))
    return ClickNetRecipe(
        "tiny", "Tiny", (first,), (second,), widths=(8, 8, 8, 8), deepest_blocks=1, view_size_px=32, batch_size=4, max_steps=6,
        warmup_steps=2, validate_every=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def cache(data_folder, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mednextseg.adapt.click_net.cache._SHAPE_IMAGES", 4)
        build_cache(recipe, data_folder, folder)
    return folder


def test_the_bundled_recipe_learns_from_redistributable_sets_only(shared_data):
    recipe = ClickNetRecipe.from_json(_RECIPE)
    index = {entry["folder"]: entry for entry in json.loads((shared_data / "INDEX.json").read_text())}
    for source in recipe.training:
        assert index[source.folder.removesuffix("/volumes")]["redistribute"] == "yes", source.name
    learned = {source.folder for source in recipe.training}
    assert not learned & {source.folder for source in (*recipe.held_out, *recipe.evaluation_only)}
    assert len(recipe.held_out) >= 4
    sources = (*recipe.training, *recipe.held_out, *recipe.evaluation_only)
    assert all(source.license for source in sources)  # fields and kinds under the names that older recipes give them
    assert "unlabeled_volumes" in {source.kind for source in sources} and any(source.display_ranges_hu for source in sources)
    starts = recipe.start_shares
    assert starts["box"] + starts["click"] >= 0.5 * sum(starts.values()) and starts["mask"] > 0


def test_training_never_opens_a_slice_of_a_val_list_or_of_a_held_out_set(data_folder, recipe, tmp_path, monkeypatch):
    opened = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda path, *a: opened.append(Path(path)) or original(path, *a))
    monkeypatch.setattr("mednextseg.adapt.click_net.cache._SHAPE_IMAGES", 2)
    build_cache(recipe, data_folder, tmp_path)
    assert {path.stem for path in opened} == {"0", "1", "2", "3"}
    assert all("second" not in path.parts for path in opened)


def test_a_cache_is_made_once(data_folder, recipe, cache):
    times = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    build_cache(recipe, data_folder, cache)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == times
    names = {item.name: item for item in open_cache(cache)}
    assert set(names) == {"first", "first-regions", "shapes"}
    assert names["first"].group == "real" and names["first"].labels.dtype == np.uint8


def test_felzenszwalb_finds_flat_regions_and_joins_specks():
    image = np.zeros((60, 80), np.float32)
    image[10:40, 10:40], image[20:50, 50:75], image[55, 5] = 0.5, 0.9, 1.0
    regions = felzenszwalb_regions(image, scale=100, sigma_px=0.01, min_size_px=10)
    assert regions.max() == 2
    for part in ((slice(10, 40), slice(10, 40)), (slice(20, 50), slice(50, 75))):
        assert len(np.unique(regions[part])) == 1
        assert (regions == regions[part][0, 0]).sum() == regions[part].size


def test_felzenszwalb_keeps_to_its_merging_criterion():
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((48, 48)), 2).astype(np.float32)
    counts = [felzenszwalb_regions(image / image.max(), k, min_size_px=1).max() for k in (5, 50, 500)]
    assert counts[0] > counts[1] > counts[2]


def test_sessions_go_on_from_their_own_errors(cache, recipe):
    generator = np.random.default_rng(0)
    sampler = ViewSampler(open_cache(cache), recipe.group_shares, recipe.view_size_px, generator)
    pool = SessionPool(sampler, 6, {"click": 1.0}, continue_share=1.0, max_rounds=4, generator=generator)
    pool.user = SimulatedUser(generator)  # a steady hand, whose clicks on what is missing lie in it
    views = [session.view for session in pool.sessions]
    pool.advance(np.zeros((6, 32, 32), np.float32))
    for session, view in zip(pool.sessions, views, strict=True):
        assert session.view is view and len(session.points_rc) == 2 and session.previous_rc is not None
        row, col, label = session.points_rc[-1]
        assert label == 1 and view.truth_rc[row, col]
    for _ in range(3):
        pool.advance(np.zeros((6, 32, 32), np.float32))
    assert all(session.view is not view for session, view in zip(pool.sessions, views, strict=True))


def test_every_kind_of_start_shows_what_it_says(cache, recipe):
    generator = np.random.default_rng(1)
    sampler = ViewSampler(open_cache(cache), recipe.group_shares, recipe.view_size_px, generator)
    shown = {}
    for start in (*recipe.start_shares, "stroke"):
        session = SessionPool(sampler, 1, {start: 1.0}, 0.5, 4, generator).sessions[0]
        channels = session.channels(2.0)
        shown[start] = [bool(channels[n].any()) for n in range(1, 5)]
        assert channels.shape == (5, 32, 32) and channels[0].min() >= -1 and channels[0].max() <= 1
    assert shown["box"] == [False, False, True, False]
    assert shown["click"] == shown["stroke"] == [True, False, False, False]
    assert shown["box_and_click"][0] and shown["box_and_click"][2]
    assert shown["mask"][3] and not shown["mask"][0]


def test_the_loss_falls_with_the_error_and_weighs_clicks_more():
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., 2:6, 2:6] = 1
    none, clicked = torch.zeros_like(truth, dtype=torch.bool), torch.zeros_like(truth, dtype=torch.bool)
    clicked[..., 3, 3] = True
    good, bad = (truth * 2 - 1) * 6, (truth * 2 - 1) * 6
    bad[..., 3, 3] = -6
    assert click_loss(good, truth, none) < 0.02 < click_loss(bad, truth, none)
    assert click_loss(bad, truth, clicked) > 1.5 * click_loss(bad, truth, none)


def test_the_rate_rises_then_falls_along_a_cosine(recipe):
    longer = replace(recipe, max_steps=100, warmup_steps=10)
    rates = [learning_rate_at(step, longer) for step in range(101)]
    assert max(rates) == rates[10] == pytest.approx(recipe.learning_rate)
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.01 * recipe.learning_rate)


def test_a_stopped_run_goes_on_where_it_was_and_makes_a_package(cache, data_folder, recipe, tmp_path):
    views = validation_views(recipe, data_folder)
    assert {view.group for view in views} == {"val", "held_out"}

    def stop_at_four(step, max_steps, loss):
        assert np.isfinite(loss)
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ClickNetTrainer(recipe, cache, views, tmp_path, on_step=stop_at_four).run()
    assert torch.load(tmp_path / LAST_CHECKPOINT, weights_only=True)["step"] == 4
    steps = []
    trainer = ClickNetTrainer(recipe, cache, views, tmp_path, on_step=lambda step, max_steps, loss: steps.append(step))
    trainer.run()
    assert steps == [5, 6]
    entries = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [3, 6]
    assert set(entries[-1]["val"]) == {"d1", "d5", "box", "mean"}
    card = package_click_net(tmp_path / LAST_CHECKPOINT, recipe, tmp_path / "package")
    assert card.task == "refine" and card.extra["training_steps"] == 6
    prompter = load_prompter(tmp_path / "package")
    result = prompter.predict(prompter.encode(np.random.default_rng(0).random((40, 70))), Prompts([[20, 30]], [1]))
    assert result.probability.shape == (40, 70) and result.mask[20, 30] and 0 <= result.score <= 1
    weights = tmp_path / "package" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8] + b"tampered")
    with pytest.raises(ValueError, match="install the model again"):
        load_prompter(tmp_path / "package")


def test_a_stage_changes_the_views_where_it_begins_and_the_package_knows(cache, data_folder, recipe, tmp_path):
    staged = replace(recipe, max_steps=3, stages=({"from_step": 2, "view_size_px": 48, "max_rounds": 9},))
    assert [staged.at(step).view_size_px for step in (0, 1, 2, 3)] == [32, 32, 48, 48]
    sides = []
    views = validation_views(staged.at(3), data_folder)
    trainer = ClickNetTrainer(staged, cache, views, tmp_path, on_step=lambda *_: sides.append(_side(trainer)))
    trainer.run()
    assert sides == [32, 32, 48]
    card = package_click_net(tmp_path / "best.pt", staged, tmp_path / "package")
    assert card.extra["prompts"]["view_size_px"] == 48


def test_a_package_keeps_the_share_of_its_first_weights_that_the_recipe_says(cache, data_folder, recipe, tmp_path):
    first = build_click_net(recipe.widths, recipe.deepest_blocks).state_dict()
    write_safetensors(first, tmp_path / "first.safetensors")
    short = replace(recipe, max_steps=1, validate_every=1, learning_rate=0.05, warmup_steps=0, ema_decay=0.5)
    views = validation_views(short, data_folder)[:1]  # of a validation list
    ClickNetTrainer(short, cache, views, tmp_path, start_from=tmp_path / "first.safetensors").run()
    packaged = {}
    for share in (0.0, 0.25, 1.0):
        kept = replace(short, kept_of_start=share)
        package_click_net(tmp_path / LAST_CHECKPOINT, kept, tmp_path / f"{share}", tmp_path / "first.safetensors")
        packaged[share] = read_safetensors(tmp_path / f"{share}" / "weights.safetensors")["head.weight"].float()
    assert (packaged[0.0] - first["head.weight"]).abs().max() > 0.01
    assert torch.allclose(packaged[1.0], first["head.weight"], atol=1e-3)
    assert torch.allclose(packaged[0.25], 0.75 * packaged[0.0] + 0.25 * packaged[1.0], atol=2e-3)
    with pytest.raises(ValueError, match="--start-from"):
        package_click_net(tmp_path / LAST_CHECKPOINT, kept, tmp_path / "package")
    with pytest.raises(ValueError, match="kept_of_start"):
        replace(recipe, kept_of_start=1.5)


def _side(trainer):
    return trainer.pool.sessions[0].view.image_rc.shape[0]


@pytest.mark.parametrize("stage", [{"view_size_px": 48}, {"from_step": 1, "widths": (8, 8, 8, 8)}])
def test_a_stage_that_cannot_be_honored_is_refused(recipe, stage):
    with pytest.raises(ValueError, match="stage of the training recipe"):
        replace(recipe, stages=(stage,))


def test_steps_on_the_same_sessions_lower_the_loss(cache, recipe, tmp_path, monkeypatch):
    longer = replace(recipe, widths=(16, 16, 16, 16), max_steps=1000, start_shares={"box": 1.0}, learning_rate=5e-3)
    trainer = ClickNetTrainer(longer, cache, [], tmp_path)
    monkeypatch.setattr(trainer.pool, "advance", lambda probabilities: None)
    losses = [trainer._optimize()[0] for _ in range(40)]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_a_recipe_with_an_unknown_kind_of_set_is_refused(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"id": "x", "title": "X", "training": [{"name": "a", "kind": "film", "folder": "a"}]}))
    with pytest.raises(ValueError, match="images_2d"):
        ClickNetRecipe.from_json(path)
    path.write_text(json.dumps({"id": "x", "title": "X"}))
    with pytest.raises(ValueError, match="lacks training"):
        ClickNetRecipe.from_json(path)


def test_a_network_with_more_deepest_blocks_starts_as_the_smaller_one_was(cache, recipe, tmp_path):
    torch.manual_seed(2)
    smaller = build_click_net(recipe.widths, recipe.deepest_blocks).eval()
    write_safetensors(smaller.state_dict(), tmp_path / "smaller.safetensors")
    deeper = replace(recipe, deepest_blocks=recipe.deepest_blocks + 2)
    started = ClickNetTrainer(deeper, cache, [], tmp_path, start_from=tmp_path / "smaller.safetensors").averaged.module.eval()
    channels = torch.rand(2, 5, 32, 32)
    with torch.no_grad():
        for ours, first in zip(started(channels), smaller(channels), strict=True):
            torch.testing.assert_close(ours, first)
    wider = replace(recipe, widths=(8, 8, 8, 16))
    with pytest.raises(ValueError, match="do not fit the ClickNet"):
        ClickNetTrainer(wider, cache, [], tmp_path, start_from=tmp_path / "smaller.safetensors")
