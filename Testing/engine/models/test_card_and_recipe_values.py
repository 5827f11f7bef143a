"""Whatever stands in a card or a recipe, it is used as it was meant or refused in one sentence."""

import codecs
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_inputs import JSON_VALUES, changed, is_one_sentence

from mednextseg.json_values import read_json_object
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.model_card import card_from_dict, read_card
from mednextseg.segment.recipe import SegmentRecipe

CARD = json.loads((bundled_models_folder() / "hippocampus-mr" / "card.json").read_text(encoding="utf-8"))
RECIPE = {
    "overlap": 0.5,
    "tta": True,
    "tta_views": ["mirror_i"],
    "ensemble": False,
    "batch_size": 2,
    "budget": 0.5,
    "window_policy": "coarse",
    "margin_mm": 5,
    "air_below": {"T1": 20},
    "precision": "fp32",
    "normalization": {"T1": {"scheme": "ct", "lower": -100, "upper": 200.5, "mean": 3, "std": 2, "masked": False}},
    "component_rules": [{"labels": ["a", "b"], "connectivity": "corners", "keep_from_mm3": 3}],
    "postprocessing": {"a": {"keep_largest": True, "min_volume_mm3": 10, "fill_holes": False}},
}


@settings(max_examples=120)
@given(changed(CARD) | JSON_VALUES)
def test_a_card_of_any_content_is_read_or_refused_in_one_sentence(raw: object) -> None:
    try:
        card = card_from_dict(raw)
    except ValueError as error:
        assert is_one_sentence(error)
        return
    assert all(1 <= label.value <= 32767 for label in card.labels)
    assert all(spacing > 0 for spacing in card.spacing_kji_mm) and sorted(card.axis_order_kji) == [0, 1, 2]
    assert json.dumps(card.to_dict())


@settings(max_examples=120)
@given(changed(RECIPE) | JSON_VALUES)
def test_a_recipe_of_any_content_is_read_or_refused_in_one_sentence(raw: object) -> None:
    try:
        recipe = SegmentRecipe.from_dict(raw)
    except ValueError as error:
        assert is_one_sentence(error)
        return
    assert recipe.tta in (True, False) and isinstance(recipe.batch_size, int) and recipe.batch_size >= 1
    assert recipe.overlap is None or 0 <= recipe.overlap < 1
    assert SegmentRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tta", "no"), ("tta", 1), ("ensemble", None), ("overlap", "0.5"), ("overlap", float("nan")), ("overlap", -0.1),
        ("overlap", True), ("batch_size", 1.5), ("batch_size", 0), ("batch_size", "2"), ("window_policy", "some"),
        ("budget", 1.1), ("budget", "1"), ("budget", True), ("margin_mm", -1), ("air_below", {"T1": "20"}),
        ("air_below", 20), ("precision", ["fp32"]), ("tta_views", "mirror_i"), ("tta_views", [1]),
        ("component_rules", [{"labels": "step 1"}]),
        ("component_rules", [{"labels": ["a"], "keep_from_mm3": -1}]), ("postprocessing", ["keep_largest"]),
        ("postprocessing", {"a": {"min_volume_mm3": "10"}}), ("postprocessing", {"a": {"keep_largest": "yes"}}),
        ("normalization", "zscore"), ("normalization", {"T1": {"scheme": "ct", "std": -1}}),
        ("normalization", {"T1": {"scheme": "clip_zscore", "lower": 2, "upper": 1}}),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_never_taken_for_another(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"must|unknown") as refusal:
        SegmentRecipe.from_dict({field: value})
    assert is_one_sentence(refusal.value)


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (SegmentRecipe.from_dict, {"\n": None}),
        (SegmentRecipe.from_dict, {"overlap\r\n": 0.5}),
        (card_from_dict, {**CARD, "postprocessing": {"two\nlines": {}}}),
    ],
)
def test_a_name_of_two_lines_is_quoted_in_one(read: Callable[[dict], object], raw: dict) -> None:
    with pytest.raises(ValueError, match=r"'.*\\[nr].*'") as refusal:
        read(raw)
    assert is_one_sentence(refusal.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_any_unicode_encoding(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(json.dumps({**CARD, "title": "Ünïcode 肺"}, ensure_ascii=False), encoding=encoding)
    assert read_card(tmp_path).title == "Ünïcode 肺"
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE), encoding=encoding)
    read = SegmentRecipe.from_json(tmp_path / "recipe.json")
    assert asdict(read)["postprocessing"] == RECIPE["postprocessing"] and read.tta_views == ("mirror_i",)


@given(st.binary(max_size=40) | st.binary(max_size=20).map(lambda tail: codecs.BOM_UTF16 + tail))
def test_bytes_that_are_no_json_are_refused_by_the_file_s_name(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "recipe.json"
    file.write_bytes(content)
    try:
        SegmentRecipe.from_json(file)
    except ValueError as error:
        assert "\n" not in str(error)
    file.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match=r"recipe\.json"):
        SegmentRecipe.from_json(file)


@given(st.text(max_size=8), JSON_VALUES, JSON_VALUES, st.booleans())
def test_a_name_that_stands_twice_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, first: object, second: object, is_inner: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "labels.json"
    twice = f"{{{json.dumps(name)}: {json.dumps(first)}, {json.dumps(name)}: {json.dumps(second)}}}"
    file.write_text(f'{{"labels": {twice}}}' if is_inner else twice, encoding="utf-8")
    with pytest.raises(ValueError, match=r"labels\.json .*stands there 2 times in one object, keep one") as refusal:
        read_json_object(file)
    assert is_one_sentence(refusal.value)
