"""What tells ClickNet of a box: views close to it; and what its evaluation measures and shows."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from scipy.spatial import Delaunay

from mednextseg.adapt.click_net.cache import CachedSet
from mednextseg.adapt.click_net.clicks import bounding_box
from mednextseg.adapt.click_net.evaluation import as_markdown, evaluate, summarize
from mednextseg.adapt.click_net.failures import draw_failures
from mednextseg.adapt.click_net.metrics import Target, ellipse_in, measure, measure_baselines
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.adapt.click_net.views import BOX_MARGINS, LEAST_SIDE_PX, ViewSampler
from mednextseg.networks.click_net import build_click_net
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompters.click_net import ClickNetPrompter


def test_views_around_a_box_show_it_large_and_whole():
    labels = np.zeros((1, 320, 320), np.uint8)
    labels[0, 100:130, 60:80] = 1
    objects = np.array([[0, 1, 100, 60, 130, 80]], np.int32)
    images = (255 * (labels > 0)).astype(np.uint8)
    sizes = np.array([[200, 200]])
    sampler = ViewSampler(
        [CachedSet("block", "real", images, labels, None, sizes, objects, True)], {"real": 1.0}, 64, np.random.default_rng(0)
    )
    for _ in range(20):
        r0, c0, r1, c1 = bounding_box(sampler.draw(around_box=True).truth_rc)
        side = max(BOX_MARGINS[1] * 30, LEAST_SIDE_PX)
        assert max(r1 - r0, c1 - c0) >= 0.75 * 64 * 30 / side and min(r0, c0) > 0 and max(r1, c1) < 64


def test_image_and_outline_of_a_view_are_bent_alike():
    labels = np.zeros((1, 120, 120), np.uint8)
    labels[0, 40:80, 30:90] = 1
    objects, sizes = np.array([[0, 1, 40, 30, 80, 90]], np.int32), np.array([[120, 120]])
    cached = CachedSet("block", "real", 255 * labels, labels, None, sizes, objects, True)
    dented = []
    for seed in range(40):
        view = ViewSampler([cached], {"real": 1.0}, 96, np.random.default_rng(seed)).draw(around_box=True)
        inside, outside = (
            ndimage.binary_erosion(view.truth_rc, iterations=3),
            ~ndimage.binary_dilation(view.truth_rc, iterations=3),
        )
        apart = np.median(view.image_rc[inside]) - np.median(view.image_rc[outside])
        assert np.mean((view.image_rc[inside] - np.median(view.image_rc[outside])) * np.sign(apart) > abs(apart) / 2) > 0.98
        dented.append(_missing_of_hull(view.truth_rc) > 0.005 * view.truth_rc.sum())
    assert 0.1 < np.mean(dented) < 0.6  # a block stays convex where it is only turned, stretched and mirrored


def _missing_of_hull(mask_rc):
    hull = Delaunay(np.argwhere(mask_rc))
    return np.sum(hull.find_simplex(np.argwhere(~mask_rc)) >= 0)


def test_now_and_then_all_that_is_labeled_is_one_large_object():
    labels = np.zeros((1, 100, 100), np.uint8)
    labels[0, 10:50, 10:90], labels[0, 50:90, 10:90] = 1, 2
    labels[0, 40:60, 40:60] = 0
    objects = np.array([[0, 1, 10, 10, 50, 90], [0, 2, 50, 10, 90, 90]], np.int32)
    images, sizes = (100 * labels).astype(np.uint8), np.array([[100, 100]])
    for group, is_wanted in (("synthetic", True), ("real", False)):
        cached = CachedSet("halves", group, images, labels, None, sizes, objects, False)
        sampler = ViewSampler([cached], {group: 1.0}, 64, np.random.default_rng(0))
        truths = [sampler.draw().truth_rc for _ in range(80)]
        whole = [truth for truth in truths if truth.mean() > 0.4 and not _touches_border(truth) and _is_filled(truth)]
        assert bool(whole) == is_wanted


def _touches_border(mask_rc):
    return mask_rc[[0, -1]].any() or mask_rc[:, [0, -1]].any()


def _is_filled(mask_rc):
    return np.array_equal(ndimage.binary_fill_holes(mask_rc), mask_rc)


def test_the_prompter_looks_as_close_at_a_box_as_it_was_trained():
    torch.manual_seed(0)
    network, image = build_click_net((8, 8, 8, 8), 1), np.random.default_rng(0).random((100, 120))
    answers = []
    for margin in (1.75, 3.0):
        prompter = ClickNetPrompter(network, 64, 2.0, "", box_margin=margin)
        answer = prompter.predict(prompter.encode(image), Prompts(box=np.array([30.0, 40.0, 70.0, 80.0]))).probability
        seen = np.argwhere(answer > 0)
        answers.append(int(np.ptp(seen[:, 0])) + 1)
    assert answers == [70, 100]


def test_the_evaluation_lists_the_worst_set_first_and_draws_its_failures(tmp_path):
    rows, cols = np.indices((64, 64))
    disk, rings = np.hypot(rows - 32, cols - 32) < 12, (np.hypot(rows - 32, cols - 32).astype(int) // 4) % 2 == 1
    noise = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    targets = [
        Target(0.8 * disk.astype(np.float32), disk, "easy", "val", "1", 1),
        Target(noise, rings, "hard", "val", "2", 1),
    ]
    walker = load_prompter("random_walker")
    results = evaluate({"walker": walker}, targets)
    assert all(0 <= row["lowered"] <= row["worse"] for row in results if row["method"] == "walker")
    text = as_markdown(summarize(results), len(targets))
    assert text.index("| hard |") < text.index("| easy |")
    draw_failures(walker, targets, results, tmp_path / "failures.png")
    with Image.open(tmp_path / "failures.png") as picture:
        assert picture.size[0] == 3 * 256 and picture.size[1] == 2 * (256 + 14)


def test_the_evaluation_measures_what_it_says():
    rows, cols = np.indices((90, 110))
    truth = np.hypot(rows - 45, cols - 50) <= 18
    target = Target((0.2 + 0.6 * truth).astype(np.float32), truth, "disks", "held out", "1", 1)
    figures = measure(load_prompter("random_walker"), target, click_cap=12)
    assert figures["d1"] > 0.9 and figures["d10"] >= figures["d1"] - 0.05
    assert figures["clicks_to_85"] == 1 and figures["failed_85"] == 0 and figures["obeyed"] == 1
    assert figures["box_0"] > 0.96 > figures["box_10"]
    baselines = measure_baselines(target)
    assert baselines["ellipse_0"] == pytest.approx(figures["box_0"], abs=0.01)
    assert hard_dice(ellipse_in(np.array(bounding_box(truth)), truth.shape), truth) > 0.95
    assert 0 < baselines["unchanged"] <= 1
