"""Structures are found by other words for them, and models by the part of the body their labels lie in."""

import pytest

from mednextseg.labels.codes import _table as codes
from mednextseg.labels.finding import _table, body_part_of, body_parts, words_for


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("ren", "kidney"),
        ("Ren_left", "kidney"),
        ("kidney_right", "ren"),
        ("hepar", "liver"),
        ("spleen", "lien"),
        ("Small intestine", "small bowel"),
        ("my own thing", "my own thing"),
    ],
)
def test_a_label_is_found_by_other_words_for_it(name: str, word: str) -> None:
    assert word in words_for(name)


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["liver", "spleen", "kidney_left", "aorta"], "abdomen"),
        (["anterior hippocampus", "hippocampus", "unknown"], "head"),
        (["liver", "brain", "heart"], "whole body"),
        (["left", "right"], ""),
        ([], ""),
    ],
)
def test_most_labels_decide_about_the_part_of_the_body(names: list[str], part: str) -> None:
    assert body_part_of(names) == part and (part in body_parts() or not part)


def test_words_and_parts_are_of_structures_that_have_codes() -> None:
    structures = [structure for part in _table()["body_parts"].values() for structure in part]
    assert len(set(structures)) == len(structures) and set(structures) | set(_table()["words"]) <= set(codes()["structures"])
