"""Simulated users of ClickNet's training: where they click, and what boxes, strokes and earlier masks they bring."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mednextseg.adapt.click_net.clicks import (
    SimulatedUser,
    bounding_box,
    degraded_mask,
    displaced_mask,
    drawn_box,
    stroke_through,
)
from mednextseg.adapt.click_net.sessions import hard_dice
from mednextseg.adapt.click_net.synthetic import random_shapes


def _blob(size=96, seed=0):
    generator = np.random.default_rng(seed)
    labels = random_shapes((size, size), generator)
    numbers, _ = ndimage.label(labels == np.bincount(labels.ravel()).argmax())
    return numbers == 1 + np.bincount(numbers.ravel())[1:].argmax()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 200))
def test_the_robot_clicks_the_thickest_point_of_the_largest_error(seed):
    truth, mask = _blob(seed=seed), _blob(seed=seed + 1000)
    row, col, label = SimulatedUser().correction(mask, truth)
    assert label == int(truth[row, col]) and mask[row, col] != truth[row, col]
    noisy = SimulatedUser(np.random.default_rng(seed)).correction(mask, truth)
    assert mask[noisy[:2]] != truth[noisy[:2]]
    assert SimulatedUser().correction(truth, truth) is None
    assert truth[SimulatedUser().first_click(truth)]


def test_errors_compete_by_area():
    truth = np.zeros((50, 50), bool)
    truth[5:15, 5:15] = True
    mask = np.zeros_like(truth)
    mask[20:40, 20:40] = True
    assert SimulatedUser().correction(mask, truth)[2] == 0
    mask[24:40] = False
    mask[20:24, 24:] = False
    assert SimulatedUser().correction(mask, truth) == (9, 9, 1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 200))
def test_boxes_and_degraded_masks_are_wrong_but_about_the_object(seed):
    truth, generator = _blob(seed=seed), np.random.default_rng(seed)
    assert np.allclose(drawn_box(truth, 0.0, generator), bounding_box(truth))
    r0, c0, r1, c1 = drawn_box(truth, 0.1, generator)
    assert r1 - r0 >= 2 and c1 - c0 >= 2
    mask = degraded_mask(truth, generator)
    assert mask.dtype == np.float32 and mask.min() >= 0 and 0 < mask.max() <= 1


def test_displaced_masks_are_mostly_wrong_but_touch_the_object():
    truth = np.zeros((96, 96), bool)
    truth[30:66, 40:60] = True
    shares = {
        make: [hard_dice(make(truth, np.random.default_rng(seed)) > 0.5, truth) for seed in range(60)]
        for make in (degraded_mask, displaced_mask)
    }
    assert np.median(shares[displaced_mask]) < 0.65 < np.median(shares[degraded_mask])
    assert np.percentile(shares[displaced_mask], 10) > 0.2


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_a_displaced_mask_of_any_object_is_a_mask_of_something(seed):
    mask = displaced_mask(_blob(seed=seed), np.random.default_rng(seed))
    assert mask.dtype == np.float32 and mask.shape == (96, 96) and mask.min() >= 0 and 0 < mask.max() <= 1


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(3.0, 30.0))
def test_a_stroke_runs_along_the_object_in_steps(seed, step_px):
    truth = _blob(seed=seed)
    points = np.array(stroke_through(truth, step_px, np.random.default_rng(seed)))
    assert truth[tuple(points[[0, -1]].T)].all() and truth[tuple(points.T)].mean() >= 0.5
    assert (np.linalg.norm(np.diff(points, axis=0), axis=1) <= step_px + 1.5).all()  # points are whole pixels


def test_a_stroke_is_longer_where_the_object_is():
    long, square = np.zeros((90, 90), bool), np.zeros((90, 90), bool)
    long[40:50, 5:85], square[40:60, 40:60] = True, True
    lengths = [
        np.mean([np.ptp(stroke_through(truth, 18.0, np.random.default_rng(seed)), axis=0).max() for seed in range(20)])
        for truth in (long, square)
    ]
    assert lengths[0] > 35 and 4 < lengths[1] < 20
