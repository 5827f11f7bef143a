"""Which mirror images a model keeps whose labels are paired by side, and which pairs a card may name."""

from dataclasses import replace

import pytest

from mednextseg.labels.label import Label
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.models.model_card import ModelCard, card_from_dict
from mednextseg.models.sides import axes_without_sides, mirroring_with

NAMES = ("left a", "right a", "left b", "right b", "middle")
PAIRS = (("left a", "right a"), ("left b", "right b"))


@pytest.fixture
def card(tiny_model: LoadedModel) -> ModelCard:
    labels = tuple(Label(value, name, (value, 0, 0)) for value, name in enumerate(NAMES, start=1))
    return replace(
        tiny_model.card, labels=labels, orientation="LPS", mirror_axes_kji=(0, 2), exchanged_sides=PAIRS, postprocessing={}
    )


@pytest.mark.parametrize(
    ("names", "pairs"),
    [(NAMES, PAIRS), (("left a", "right a", "middle"), PAIRS[:1]), (("middle",), ())],
    ids=["all", "one pair", "none"],
)
def test_whole_pairs_keep_their_mirror_images(card: ModelCard, names: tuple, pairs: tuple) -> None:
    assert mirroring_with(card, names) == {"mirror_axes_kji": (0, 2), "exchanged_sides": pairs}


@pytest.mark.parametrize("names", [("left a", "middle"), (*NAMES, "left c")], ids=["half a pair", "a new label"])
def test_labels_that_a_mirror_image_would_misplace_leave_the_other_axes(card: ModelCard, names: tuple) -> None:
    assert mirroring_with(card, names) == {"mirror_axes_kji": (0,), "exchanged_sides": ()}


def test_training_mirrors_no_sides(card: ModelCard) -> None:
    assert axes_without_sides(card) == (0,)
    assert axes_without_sides(replace(card, exchanged_sides=())) == (0, 2)


def test_a_card_comes_back_from_json(card: ModelCard) -> None:
    assert card_from_dict(card.to_dict()).exchanged_sides == PAIRS


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"exchanged_sides": [["left a", "right c"]]}, "must pair labels of the model, each once"),
        ({"exchanged_sides": [["left a", "right a"], ["left a", "right b"]]}, "must pair labels of the model, each once"),
        ({"exchanged_sides": [["left a", "right a", "left b"]]}, "must pair labels of the model, each once"),
        ({"exchanged_sides": [[1, 2]]}, "a label of exchanged_sides"),
        ({"exchanged_sides": "left"}, "exchanged_sides"),
        ({"orientation": None}, "first axis runs from side to side"),
        ({"orientation": "SPL"}, "first axis runs from side to side"),
    ],
)
def test_wrong_pairs_are_refused_in_one_sentence(card: ModelCard, fields: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match) as refused:
        card_from_dict({**card.to_dict(), **fields})
    assert "\n" not in str(refused.value)
