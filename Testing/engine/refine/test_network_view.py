"""The network's view of a slice: coordinates and pixels agree to a fraction of a pixel, whatever the slice's shape."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mednextseg.refine.prompters.network_view import NetworkView, view_around, whole_slice

_SIDES = st.integers(3, 400)
_VIEWS = st.builds(NetworkView, st.floats(-50, 50), st.floats(-50, 50), st.floats(5, 500), st.sampled_from([64, 128, 256]))


@given(_VIEWS, st.floats(-10, 500), st.floats(-10, 500))
def test_points_return_to_where_they_came_from(view, row, col):
    there = view.points_to_view(np.array([[row, col]]))
    assert np.allclose(view.points_to_slice(there), [[row, col]], atol=1e-9 * view.side + 1e-9)


@given(_VIEWS, st.integers(0, 300), st.integers(0, 300))
def test_the_box_of_one_pixel_has_that_pixel_in_its_middle(view, row, col):
    box = view.box_to_view(np.array([row, col, row + 1, col + 1]))
    center = view.points_to_view(np.array([[row, col]]))[0]
    assert np.allclose((box[:2] + box[2:]) / 2 - 0.5, center, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(_SIDES, _SIDES)
def test_a_ramp_keeps_its_values_under_the_whole_slice_view(rows, cols):
    ramp = np.add.outer(2.0 * np.arange(rows), 1.0 * np.arange(cols)).astype(np.float32)
    view = whole_slice((rows, cols), 64)
    seen = view.cut(ramp)
    r, c = np.meshgrid(*(np.arange(64.0),) * 2, indexing="ij")
    source = view.points_to_slice(np.stack([r.ravel(), c.ravel()], axis=1))
    # Well inside, where neither the border nor the smoothing before shrinking bends the ramp.
    margin = 2 + 1.5 / view.scale
    inside = ((source > margin) & (source < np.array([rows, cols]) - 1 - margin)).all(axis=1)
    expected = source @ [2.0, 1.0]
    assert np.allclose(seen.ravel()[inside], expected[inside], atol=2e-3 * (rows + cols))


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 300), st.integers(20, 300), st.data())
def test_a_mask_survives_the_way_there_and_back(rows, cols, data):
    """Odd, non-square and small slices: at a view finer than the slice not one pixel changes."""
    height, width = data.draw(st.integers(3, 15)), data.draw(st.integers(3, 15))
    top, left = data.draw(st.integers(0, rows - height)), data.draw(st.integers(0, cols - width))
    mask = np.zeros((rows, cols), np.float32)
    mask[top : top + height, left : left + width] = 1
    view = view_around(np.array([top, left, top + height, left + width]), 1.6, 20.0, (rows, cols), 128)
    back = view.put_back(view.cut(mask), (rows, cols)) > 0.5
    assert np.array_equal(back, mask > 0.5)


def test_an_identity_view_is_exact():
    image = np.random.default_rng(0).random((128, 128), dtype=np.float32)
    view = whole_slice(image.shape, 128)
    assert np.allclose(view.cut(image), image, atol=1e-6)
    assert np.allclose(view.put_back(image, image.shape), image, atol=1e-6)


@given(st.integers(5, 300), st.integers(5, 300), st.floats(0, 1), st.floats(0, 1), st.floats(1, 80))
def test_a_view_around_a_box_holds_the_box(rows, cols, down, right, length):
    r0, c0 = down * (rows - 1), right * (cols - 1)
    box = np.array([r0, c0, min(r0 + length, rows), min(c0 + length, cols)])
    view = view_around(box, 1.6, 20.0, (rows, cols), 128)
    r0, c0, r1, c1 = view.box_to_view(box)
    assert min(r0, c0) >= -1e-6 and max(r1, c1) <= 128 + 1e-6


def test_smoothing_looks_only_at_what_the_view_sees():
    image = np.random.default_rng(0).random((300, 200)).astype(np.float32)
    view = NetworkView(top=-20.0, left=60.0, side=90.0, size_px=32)
    seen = view.cut(image)
    image[110:], image[:, :30] = np.nan, np.nan
    assert np.array_equal(view.cut(image), seen)
