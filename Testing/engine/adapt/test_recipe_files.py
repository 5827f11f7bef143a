"""Whatever stands in a training recipe, it is used as it was meant or refused in one sentence."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_inputs import JSON_VALUES, changed, is_one_sentence

from mednextseg.adapt.click_net.recipe import ClickNetRecipe
from mednextseg.adapt.completion.recipe import CompletionRecipe
from mednextseg.adapt.heads.recipe import HeadRecipe
from mednextseg.adapt.mednext.recipe import MedNeXtRecipe
from mednextseg.models.library import bundled_models_folder

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    MedNeXtRecipe: bundled_models_folder() / "hippocampus-mr" / "training_recipe.json",
    ClickNetRecipe: bundled_models_folder() / "clicknet" / "training_recipe.json",
    CompletionRecipe: bundled_models_folder() / "clicknet" / "whole_object" / "training_recipe.json",
    HeadRecipe: ROOT / "docs" / "developers" / "recipes" / "brain_mr_4mm.json",
}
RAW = {recipe: json.loads(path.read_text(encoding="utf-8")) for recipe, path in GOOD.items()}


@pytest.mark.parametrize("recipe", GOOD)
def test_recipes_of_the_project_are_read_whole(recipe: type) -> None:
    read = recipe.from_json(GOOD[recipe])
    for name in ("id", "title", "max_steps", "learning_rate", "batch_size"):
        if name in RAW[recipe]:
            assert getattr(read, name) == RAW[recipe][name]
    assert set(read.extra) <= set(RAW[recipe])


@pytest.mark.parametrize("recipe", GOOD)
def test_a_training_recipe_of_any_content_is_read_or_refused_in_one_sentence(recipe: type, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"

    @settings(max_examples=60)
    @given(changed(RAW[recipe]) | st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=3))
    def check(raw: dict) -> None:
        path.write_text(json.dumps(raw), encoding="utf-8")
        try:
            read = recipe.from_json(path)
        except ValueError as error:
            assert is_one_sentence(error)
            return
        assert read.max_steps >= 1 and read.batch_size >= 1 and read.learning_rate >= 0
        assert isinstance(read.id, str) and isinstance(read.seed, int)

    check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_steps", 0),
        ("max_steps", "100"),
        ("learning_rate", "1e-3"),
        ("batch_size", True),
        ("id", 3),
        ("validate_every", 1.5),
    ],
)
@pytest.mark.parametrize("recipe", GOOD)
def test_a_value_of_another_kind_is_never_taken_for_the_right_one(
    recipe: type, name: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**RAW[recipe], name: value}), encoding="utf-8")
    with pytest.raises(ValueError, match=f"{name} of .*recipe.json must be"):
        recipe.from_json(path)
