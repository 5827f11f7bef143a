"""A mirrored patch of a training has left and right exchanged, also what was not drawn on one side."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.adapt.mednext.augmentation import training_transforms
from mednextseg.adapt.mednext.mirroring import MirrorSides, Sides
from mednextseg.adapt.mednext.partial_labels import background_sets
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe

LABELS = {"background": 0, "left": 1, "middle": 2, "right": 3}
PAIRS = (("left", "right"),)
RECIPE = MedNeXtRecipe("a", "A", patch_size_kji=(16, 16, 16), mirror_axes_kji=(2,), exchanged_sides=PAIRS)


@given(st.lists(st.frozensets(st.integers(1, 3)), max_size=4, unique=True))
def test_what_a_mirrored_voxel_may_be_is_the_mirror_image_of_what_it_might_have_been(
    drawn_without: list[frozenset[int]],
) -> None:
    sides = Sides(PAIRS, LABELS)
    absent = sides.with_mirrored(tuple(drawn_without))
    allowed, codes = background_sets(4, absent).numpy(), sides.codes(absent, 4)
    assert absent[: len(drawn_without)] == tuple(drawn_without)  # codes given before keep their meaning
    assert np.array_equal(allowed[codes], allowed[:, [0, 3, 2, 1]])
    assert np.array_equal(codes[codes], np.arange(len(codes)))


def test_a_patch_is_mirrored_with_its_labels_or_left_alone() -> None:
    sides, absent = Sides(PAIRS, LABELS), (frozenset({1}), frozenset({3}))
    image, label = torch.rand(1, 3, 4, 6), torch.zeros(1, 3, 4, 6)
    label[..., 0], label[..., 2], label[..., 5] = 1, 2, 3
    transform, mirrored = MirrorSides(sides.codes(absent, 4)).set_random_state(0), 0
    for _ in range(40):
        result = transform({"image": image, "label": label, "background": 4})
        if torch.equal(result["image"], image):
            assert torch.equal(result["label"], label) and result["background"] == 4
            continue
        mirrored += 1
        assert torch.equal(result["image"], image.flip(3)) and result["background"] == 5
        assert result["label"][0, 0, 0].tolist() == [1, 0, 0, 2, 0, 3]
        assert result["label"].dtype == label.dtype
    assert 10 < mirrored < 30


def test_training_patches_keep_left_on_the_left() -> None:
    rng = np.random.default_rng(0)
    label = np.zeros((1, 24, 24, 24), np.uint8)
    label[..., :10], label[..., 14:] = 1, 3
    case = {"image": rng.normal(size=label.shape).astype(np.float32) + label, "label": label, "background": 0}
    transforms = training_transforms(RECIPE, 4, Sides(PAIRS, LABELS).codes((), 4)).set_random_state(0)
    for _ in range(20):
        (sample,) = transforms(case)
        where = [(sample["label"][0] == value).nonzero()[:, 2].float() for value in (1, 3)]
        assert not all(len(found) for found in where) or where[0].mean() < where[1].mean()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [((("left", "other"),), "got left, other; the labels are"), ((("left", "right"), ("right", "middle")), "each once")],
)
def test_pairs_that_are_no_labels_are_refused(pairs: tuple, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sides(pairs, LABELS)


@pytest.mark.parametrize("changes", [{"mirror_axes_kji": ()}, {"orientation": "SAR"}])
def test_sides_need_an_axis_that_runs_between_them(changes: dict) -> None:
    with pytest.raises(ValueError, match="needs 2 among mirror_axes_kji and an orientation"):
        replace(RECIPE, **changes)
