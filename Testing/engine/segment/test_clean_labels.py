"""Clean-up does what its name says, for each label alone and for labels together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from tiny_models import tiny_mednext, write_package

from mednextseg.models.clean_up import ComponentRule, Postprocessing
from mednextseg.models.model_card import ModelCard, card_from_dict, read_card
from mednextseg.segment.finish.clean_labels import clean_labels, keep_largest, remove_small
from mednextseg.segment.recipe import SegmentRecipe

masks = arrays(bool, st.tuples(*[st.integers(1, 7)] * 3))
labelmaps = arrays(np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(0, 3))
LIVER, SPLEEN, TUMOR = "liver", "spleen", "tumor"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """Of a model with the labels 1 liver, 2 spleen and 3 tumor, and without any clean-up."""
    folder = write_package(tmp_path_factory.mktemp("made") / "net", tiny_mednext(num_classes=4), (LIVER, SPLEEN, TUMOR))
    return read_card(folder)


def with_steps(card: ModelCard, **steps: Postprocessing) -> ModelCard:
    return replace(card, postprocessing=steps)


def with_rules(card: ModelCard, *rules: ComponentRule) -> ModelCard:
    return replace(card, component_rules=rules)


@given(masks)
def test_keep_largest_is_idempotent_and_never_adds(mask: np.ndarray) -> None:
    once = keep_largest(mask)
    assert not (once & ~mask).any()
    assert np.array_equal(keep_largest(once), once)


@given(masks, st.integers(0, 20), st.integers(0, 20))
def test_remove_small_is_monotone_in_the_threshold(mask: np.ndarray, a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert not (remove_small(mask, high) & ~remove_small(mask, low)).any()


@given(arrays(bool, st.tuples(st.just(3), *[st.integers(1, 6)] * 3)), st.booleans())
def test_labels_that_overlap_are_cleaned_each_in_its_layer(card: ModelCard, masks_lkji: np.ndarray, together: bool) -> None:
    layers = masks_lkji * np.arange(1, 4, dtype=np.uint8).reshape(3, 1, 1, 1)
    rules = [ComponentRule((LIVER, TUMOR))] if together else [ComponentRule((LIVER,)), ComponentRule((TUMOR,))]
    cleaned = clean_labels(layers, with_rules(card, *rules), 1.0)
    if together:
        components, count = ndimage.label(masks_lkji[0] | masks_lkji[2])
        sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
        largest = np.isin(components, 1 + np.flatnonzero(sizes == sizes.max(initial=0)))
        expected = [masks_lkji[0] & largest, masks_lkji[1], masks_lkji[2] & largest]
    else:
        alone = [clean_labels(mask * np.uint8(1), with_rules(card, ComponentRule((LIVER,))), 1.0) > 0 for mask in masks_lkji]
        expected = [alone[0], masks_lkji[1], alone[2]]
    assert np.array_equal(cleaned > 0, np.stack(expected)) and np.array_equal(cleaned[cleaned > 0], layers[cleaned > 0])
    filled = clean_labels(layers, with_steps(card, spleen=Postprocessing(fill_holes=True)), 1.0)
    assert np.array_equal(filled[1] > 0, ndimage.binary_fill_holes(masks_lkji[1])) and np.array_equal(filled[0], layers[0])


def test_each_label_is_cleaned_alone_and_sizes_are_in_mm3(card: ModelCard) -> None:
    labelmap = np.zeros((10, 10, 10), dtype=np.uint8)
    labelmap[1:4, 1:4, 1:4] = 1  # 27 voxels of liver
    labelmap[2, 2, 2] = 0  # a hole
    labelmap[8, 8, 8] = 1  # an island of one voxel
    labelmap[6, 6, 6] = 2  # a spleen of one voxel: 2 mm3
    steps = {LIVER: Postprocessing(min_volume_mm3=4.0, fill_holes=True), SPLEEN: Postprocessing(min_volume_mm3=1.0)}
    cleaned = clean_labels(labelmap, with_steps(card, **steps), voxel_volume_mm3=2.0)
    assert cleaned[2, 2, 2] == 1 and cleaned[8, 8, 8] == 0 and cleaned[6, 6, 6] == 2
    assert labelmap[8, 8, 8] == 1  # the input is not changed


def test_filled_holes_take_only_background(card: ModelCard) -> None:
    labelmap = np.ones((5, 5, 5), dtype=np.uint8)
    labelmap[2, 2, 2] = 2
    assert clean_labels(labelmap, with_steps(card, liver=Postprocessing(fill_holes=True)), 1.0)[2, 2, 2] == 2


def test_a_structure_at_the_border_is_no_hole(card: ModelCard) -> None:
    labelmap = np.ones((5, 5, 5), dtype=np.uint8)
    labelmap[0, 2, 2] = 0
    assert clean_labels(labelmap, with_steps(card, liver=Postprocessing(fill_holes=True)), 1.0)[0, 2, 2] == 0


@given(
    labelmaps,
    st.sampled_from(["faces", "corners"]),
    st.sampled_from([None, 2.0, 7.5]),
    st.sampled_from([(1,), (1, 3), (1, 2, 3)]),
)
def test_a_rule_for_labels_together_keeps_what_nnunet_keeps(
    card: ModelCard, labelmap: np.ndarray, connectivity: str, keep_from: float | None, values: tuple[int, ...]
) -> None:
    rule = ComponentRule(tuple(card.labels[value - 1].name for value in values), connectivity, keep_from)
    cleaned = clean_labels(labelmap, with_rules(card, rule), voxel_volume_mm3=1.5)
    mask = np.isin(labelmap, values)
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)) if connectivity == "corners" else None)
    sizes = [1.5 * (parts == number).sum() for number in range(1, count + 1)]
    expected = labelmap.copy()
    for number, size in enumerate(sizes, start=1):
        if size != max(sizes) and (keep_from is None or size < keep_from):
            expected[parts == number] = 0
    np.testing.assert_array_equal(cleaned, expected)
    np.testing.assert_array_equal(clean_labels(cleaned, with_rules(card, rule), 1.5), cleaned)


def test_rules_come_in_their_order_and_before_the_steps(card: ModelCard) -> None:
    labelmap = np.zeros((1, 1, 12), dtype=np.uint8)
    labelmap[0, 0] = [2, 2, 2, 0, 1, 1, 3, 3, 0, 1, 1, 1]
    together, alone = ComponentRule((LIVER, SPLEEN, TUMOR)), ComponentRule((LIVER,))
    first = clean_labels(labelmap, with_rules(card, together, alone), 1.0)
    assert first[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 3, 3, 0, 0, 0, 0]
    second = clean_labels(labelmap, with_rules(card, alone, together), 1.0)
    assert second[0, 0].tolist() == [2, 2, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    both = replace(with_rules(card, together), postprocessing={LIVER: Postprocessing(min_volume_mm3=3.0)})
    assert clean_labels(labelmap, both, 1.0)[0, 0].tolist() == [0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0]


def test_a_recipe_replaces_what_the_card_says(card: ModelCard) -> None:
    card = replace(with_rules(card, ComponentRule((LIVER, TUMOR))), postprocessing={LIVER: Postprocessing(keep_largest=True)})
    assert SegmentRecipe().applied_to(card) == card
    recipe = SegmentRecipe(component_rules=(), postprocessing={SPLEEN: Postprocessing(min_volume_mm3=80.0)})
    applied = SegmentRecipe.from_dict(recipe.to_dict()).applied_to(card)
    assert applied.component_rules == () and applied.postprocessing[LIVER].keep_largest
    assert applied.postprocessing[SPLEEN].min_volume_mm3 == 80.0
    rules = [{"labels": [SPLEEN], "connectivity": "corners"}]
    assert SegmentRecipe.from_dict({"component_rules": rules}).applied_to(card).component_rules[0].connectivity == "corners"


def test_a_label_the_model_lacks_is_refused_before_the_run(card: ModelCard) -> None:
    with pytest.raises(ValueError, match="no label 'kidney'; it has: liver, spleen, tumor"):
        SegmentRecipe(postprocessing={"kidney": Postprocessing()}).applied_to(card)
    with pytest.raises(ValueError, match="no label 'kidney'"):
        SegmentRecipe(component_rules=(ComponentRule(("kidney",)),)).applied_to(card)
    with pytest.raises(ValueError, match="cleans up kidney, which is none of its labels"):
        card_from_dict({**card.to_dict(), "postprocessing": {"kidney": {"keep_largest": True}}})
    with pytest.raises(ValueError, match="labels of a component rule must be a list, got None"):
        SegmentRecipe.from_dict({"component_rules": [{"largest": True}]})


def test_a_card_keeps_its_rules_when_it_is_written(card: ModelCard, tmp_path: Path) -> None:
    ruled = with_rules(card, ComponentRule((LIVER, TUMOR), "corners", 12.5))
    assert card_from_dict(ruled.to_dict()) == ruled
