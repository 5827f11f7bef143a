"""The random walker: its equation, and what it makes of clicks, boxes and masks."""

import numpy as np
import pytest

from mednextseg.refine import Prompts, load_prompter
from mednextseg.refine.prompter import scaled_to_display
from mednextseg.refine.random_walk import random_walk


def _scene(shape=(120, 150)):
    """A bright disk and a bright bar on a noisy ground."""
    rows, cols = np.indices(shape)
    disk = np.hypot(rows - 50, cols - 60) <= 22
    bar = (abs(rows - 100) <= 6) & (abs(cols - 110) <= 25)
    image = 0.3 + 0.4 * (disk | bar) + 0.02 * np.random.default_rng(0).standard_normal(shape)
    return image.astype(np.float32), disk, bar


def _dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_on_a_flat_line_the_probability_falls_linearly():
    image = np.zeros((1, 11), np.float32)
    foreground, background = np.zeros((1, 11), bool), np.zeros((1, 11), bool)
    foreground[0, 0] = background[0, 10] = True
    assert np.allclose(random_walk(image, foreground, background)[0], np.linspace(1, 0, 11), atol=5e-3)


def test_the_probability_is_harmonic_between_the_seeds():
    rng = np.random.default_rng(1)
    foreground, background = np.zeros((24, 24), bool), np.zeros((24, 24), bool)
    foreground[5:7, 5:7] = background[18:20, 15:19] = True
    flat = random_walk(np.zeros((24, 24), np.float32), foreground, background).astype(float)
    inner = flat[1:-1, 1:-1] - (flat[:-2, 1:-1] + flat[2:, 1:-1] + flat[1:-1, :-2] + flat[1:-1, 2:]) / 4
    assert np.abs(inner[~(foreground | background)[1:-1, 1:-1]]).max() < 5e-3
    noisy = random_walk(rng.random((24, 24)).astype(np.float32), foreground, background)
    assert noisy.min() >= 0 and noisy.max() <= 1 and noisy[5, 5] == 1 and noisy[18, 16] == 0


def test_one_click_finds_a_clear_object():
    image, disk, _ = _scene()
    prompter = load_prompter("random_walker")
    result = prompter.predict(prompter.encode(image), Prompts([[50, 60]], [1]))
    assert result.probability.shape == image.shape and result.probability.dtype == np.float32
    assert _dice(result.mask, disk) > 0.9


def test_a_background_click_takes_a_piece_away():
    image, disk, bar = _scene()
    prompter = load_prompter("random_walker")
    embedding = prompter.encode(image)
    both = prompter.predict(embedding, Prompts([[50, 60], [100, 110]], [1, 1]))
    less = prompter.predict(embedding, Prompts([[50, 60], [100, 110]], [1, 0], mask=both.probability), both.state)
    assert both.mask[bar].mean() > 0.8
    assert less.mask[bar].mean() < 0.2 and _dice(less.mask, disk) > 0.85


def test_a_lone_box_gives_the_inscribed_ellipse():
    image, disk, _ = _scene()
    prompter = load_prompter("random_walker")
    result = prompter.predict(prompter.encode(image), Prompts(box=[28, 38, 73, 83]))
    assert _dice(result.mask, disk) > 0.97


def test_a_mask_alone_is_kept_where_the_image_agrees():
    image, disk, _ = _scene()
    prompter = load_prompter("random_walker")
    result = prompter.predict(prompter.encode(image), Prompts(mask=disk.astype(np.float32)))
    assert _dice(result.mask, disk) > 0.9


@pytest.mark.parametrize("shape", [(37, 301), (9, 9), (301, 40)])
def test_odd_slices_are_answered_on_their_own_pixels(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    prompter = load_prompter("random_walker")
    point = (shape[0] // 2, shape[1] // 2)
    result = prompter.predict(prompter.encode(image), Prompts([point], [1]))
    assert result.probability.shape == shape and result.mask[point]


def test_prompts_that_do_not_fit_are_refused():
    prompter = load_prompter("random_walker")
    embedding = prompter.encode(np.random.default_rng(0).random((20, 20)))
    with pytest.raises(ValueError, match="point, a box, a stroke or a mask"):
        prompter.predict(embedding, Prompts())
    with pytest.raises(ValueError, match="resample the mask"):
        prompter.predict(embedding, Prompts(mask=np.zeros((10, 20))))


def test_the_displayed_range_is_the_callers():
    assert scaled_to_display(np.array([[0, 100]]), (0, 400)).max() == 0.25
