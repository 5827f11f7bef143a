"""What tells ClickNet of a box: its channels, views close to it, and weights that did not know of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from mednextseg.adapt.click_net.cache import CachedSet
from mednextseg.adapt.click_net.clicks import bounding_box
from mednextseg.adapt.click_net.evaluation import as_markdown, evaluate, summarize
from mednextseg.adapt.click_net.failures import draw_failures
from mednextseg.adapt.click_net.metrics import Target, ellipse_in
from mednextseg.adapt.click_net.trainer import take_weights
from mednextseg.adapt.click_net.views import BOX_MARGINS, LEAST_SIDE_PX, ViewSampler
from mednextseg.models.weights import write_safetensors
from mednextseg.networks.click_net import CHANNELS, build_click_net
from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompters.click_net import ClickNetPrompter
from mednextseg.refine.prompters.prompt_channels import prompt_channels

_NOTHING = (np.zeros((0, 2)), np.zeros(0, int))


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-20, 50)] * 2), st.tuples(*[st.floats(2, 60)] * 2))
def test_the_box_channels_are_positive_inside_the_box_and_inside_its_ellipse(corner, sides):
    box = (corner[0], corner[1], corner[0] + sides[0], corner[1] + sides[1])
    channels = prompt_channels(np.zeros((48, 40)), *_NOTHING, box, None, 2.0)
    assert channels.shape[0] == len(CHANNELS) and np.abs(channels[5:]).max() <= 1
    rows, cols = np.indices((48, 40)) + 0.5
    inside = (rows >= box[0]) & (rows <= box[2]) & (cols >= box[1]) & (cols <= box[3])
    assert ((channels[5] >= -1e-6) == inside)[np.abs(channels[5]) > 1e-5].all()
    assert ((channels[6] >= 0) == ellipse_in(np.array(box), (48, 40)))[np.abs(channels[6]) > 1e-5].all()


def test_without_a_box_its_channels_are_empty():
    assert not prompt_channels(np.ones((16, 16)), *_NOTHING, None, None, 2.0)[[3, 5, 6]].any()


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


def test_weights_that_knew_no_box_distances_answer_as_before(tmp_path):
    torch.manual_seed(0)
    old = build_click_net((8, 8, 8, 8), 1)
    write_safetensors(old.state_dict(), tmp_path / "weights.safetensors")
    new = build_click_net((8, 8, 8, 8), 1, len(CHANNELS))
    take_weights(new, tmp_path / "weights.safetensors")
    channels = torch.rand(2, len(CHANNELS), 32, 32)
    with torch.inference_mode():
        assert torch.allclose(new.eval()(channels)[0], old.eval()(channels[:, : old.input_channels])[0], atol=1e-5)
    with pytest.raises(ValueError):
        take_weights(build_click_net((16, 8, 8, 8), 1, len(CHANNELS)), tmp_path / "weights.safetensors")


@pytest.mark.parametrize("input_channels", [5, len(CHANNELS)])
def test_the_prompter_looks_as_close_at_a_box_as_it_was_trained(input_channels):
    torch.manual_seed(0)
    network, image = build_click_net((8, 8, 8, 8), 1, input_channels), np.random.default_rng(0).random((100, 120))
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
