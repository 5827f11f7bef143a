"""Clean-up does what its name says, for each label alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mednextseg.models.model_card import Label, Postprocessing
from mednextseg.segment.postprocess import clean_labels, keep_largest, remove_small

LABELS = (Label(1, "liver", (1, 2, 3)), Label(2, "spleen", (4, 5, 6)))
masks = arrays(bool, st.tuples(*[st.integers(1, 7)] * 3))


@given(masks)
def test_keep_largest_is_idempotent_and_never_adds(mask: np.ndarray) -> None:
    once = keep_largest(mask)
    assert not (once & ~mask).any()
    assert np.array_equal(keep_largest(once), once)


@given(masks, st.integers(0, 20), st.integers(0, 20))
def test_remove_small_is_monotone_in_the_threshold(mask: np.ndarray, a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert not (remove_small(mask, high) & ~remove_small(mask, low)).any()


def test_each_label_is_cleaned_alone_and_sizes_are_in_mm3() -> None:
    labelmap = np.zeros((10, 10, 10), dtype=np.uint8)
    labelmap[1:4, 1:4, 1:4] = 1  # 27 voxels of liver
    labelmap[2, 2, 2] = 0  # a hole
    labelmap[8, 8, 8] = 1  # an island of one voxel
    labelmap[6, 6, 6] = 2  # a spleen of one voxel: 2 mm3
    steps = {"liver": Postprocessing(min_volume_mm3=4.0, fill_holes=True), "spleen": Postprocessing(min_volume_mm3=1.0)}
    cleaned = clean_labels(labelmap, LABELS, steps, voxel_volume_mm3=2.0)
    assert cleaned[2, 2, 2] == 1 and cleaned[8, 8, 8] == 0 and cleaned[6, 6, 6] == 2
    assert labelmap[8, 8, 8] == 1  # the input is not changed


def test_filled_holes_take_only_background() -> None:
    labelmap = np.ones((5, 5, 5), dtype=np.uint8)
    labelmap[2, 2, 2] = 2
    assert clean_labels(labelmap, LABELS, {"liver": Postprocessing(fill_holes=True)}, 1.0)[2, 2, 2] == 2


def test_a_structure_at_the_border_is_no_hole() -> None:
    labelmap = np.ones((5, 5, 5), dtype=np.uint8)
    labelmap[0, 2, 2] = 0
    assert clean_labels(labelmap, LABELS, {"liver": Postprocessing(fill_holes=True)}, 1.0)[0, 2, 2] == 0


def test_a_label_the_model_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="no label is named kidney"):
        clean_labels(np.zeros((2, 2, 2), np.uint8), LABELS, {"kidney": Postprocessing()}, 1.0)
