"""A region travels as JSON without losing a bit; what is no region gets one sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from json_inputs import changed, is_one_sentence

from mednextseg.segment.roi import RegionOfInterest

_MM = st.floats(-1e4, 1e4, allow_nan=False)


@given(
    st.tuples(_MM, _MM, _MM),
    st.tuples(*[st.floats(1e-3, 500)] * 3),
    st.none() | arrays(np.float64, (4, 4), elements=st.floats(-1e3, 1e3)).map(lambda m: m + 5e3 * np.eye(4)),
)
def test_a_region_comes_back_from_json_as_it_was(start: tuple, extent: tuple, box_to_ras: np.ndarray | None) -> None:
    bounds = tuple(value for low, size in zip(start, extent, strict=True) for value in (low, low + size))
    region = RegionOfInterest(bounds) if box_to_ras is None else RegionOfInterest(bounds, box_to_ras)
    again = RegionOfInterest.from_dict(json.loads(json.dumps(region.to_dict())))
    assert again.bounds_mm == region.bounds_mm and np.array_equal(again.box_to_ras, region.box_to_ras)


def test_bounds_alone_are_ras_bounds() -> None:
    assert np.array_equal(RegionOfInterest.from_dict({"bounds_mm": [0, 1, 0, 2, 0, 3]}).box_to_ras, np.eye(4))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "has the fields"),
        ([0, 1, 0, 1, 0, 1], "has the fields"),
        ({"bounds_mm": [0, 1, 0, 1, 0, 1], "center": 0}, "has the fields"),
        ({"bounds_mm": [0, 1, 0, 1]}, "six finite numbers"),
        ({"bounds_mm": [0, 1, 0, 1, 2, 2]}, "is empty"),
        ({"bounds_mm": [0, 1, 0, 1, 0, 1], "box_to_ras": [[1, 0], [0, 1]]}, "4x4 matrix"),
        ({"bounds_mm": [0, 1, 0, 1, 0, 1], "box_to_ras": np.zeros((4, 4)).tolist()}, "4x4 matrix of a box"),
    ],
)
def test_what_is_no_region_is_refused(raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegionOfInterest.from_dict(raw)


@given(changed({"bounds_mm": [0, 1, 0, 1, 0, 1], "box_to_ras": np.eye(4).tolist()}))
def test_anything_that_json_can_say_is_a_region_or_one_sentence(raw: object) -> None:
    try:
        region = RegionOfInterest.from_dict(raw)
    except ValueError as error:
        assert is_one_sentence(error)
    else:
        assert np.isfinite(np.linalg.inv(region.box_to_ras)).all()
