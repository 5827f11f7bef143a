"""Left is compared with right by name, however names are spelled; totals are sums of what is there."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.adapt.heads.structures import structures
from mednextseg.labels.label import Label
from mednextseg.labels.sides import on_sides, side_of, without_side
from mednextseg.labels.volume_table import asymmetry_percent, volume_rows, write_volumes

_ML = st.floats(0, 2000)


@given(_ML, _ML, _ML, st.sampled_from([("left {}", "right {}"), ("{}_left", "{}_right"), ("L {}", "R {}"), ("{} lt", "{} rt")]))
def test_both_rows_of_a_pair_have_the_same_asymmetry_and_exchanging_the_sides_turns_it(
    left: float, right: float, stem: float, spelling: tuple[str, str]
) -> None:
    names = [form.format("thalamus") for form in spelling]
    rows = volume_rows({names[0]: left, "brain stem": stem, names[1]: right}, {"all": (*names, "brain stem")})
    assert [row.name for row in rows] == [names[0], "brain stem", names[1], "all"]
    assert rows[0].asymmetry_percent == rows[2].asymmetry_percent == asymmetry_percent(left, right)
    assert rows[1].asymmetry_percent is None and rows[3].asymmetry_percent is None and rows[3].is_total
    assert rows[3].volume_ml == pytest.approx(left + stem + right)
    if left + right > 0:
        assert -200 <= rows[0].asymmetry_percent <= 200
        assert asymmetry_percent(right, left) == pytest.approx(-rows[0].asymmetry_percent)


def test_one_side_alone_has_none_and_a_total_with_a_part_missing_is_left_out(tmp_path: Path) -> None:
    rows = volume_rows({"left kidney": 150.0, "left": 1.0}, {"kidneys": ("left kidney", "right kidney")})
    assert [(row.name, row.asymmetry_percent) for row in rows] == [("left kidney", None), ("left", None)]
    write_volumes(volume_rows({"left kidney": 165.0, "right kidney": 135.0}, {}), tmp_path / "v.csv", "case 1")
    with open(tmp_path / "v.csv", encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    assert [row["case"] for row in written] == ["case 1"] * 2 and float(written[1]["asymmetry_percent"]) == pytest.approx(20)


def test_every_paired_structure_of_the_head_has_its_other_side() -> None:
    names = structures().classes[1:]
    rows = volume_rows(dict.fromkeys(names, 1.0), {})
    assert {row.name for row in rows if row.asymmetry_percent == 0} == {name for name in names if side_of(name)}
    assert sum(side_of(name) is not None for name in names) == 28
    assert without_side("right thalamus") == without_side("Thalamus_L") == "thalamus"


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5, unique=True))
def test_labels_on_two_sides_are_numbered_apart(values: list[int]) -> None:
    labels = [Label(value, f"Part {value}", (1, 2, 3)) for value in values]
    both = on_sides(labels, ("left", "right"))
    numbers = [label.value for side in both.values() for label in side]
    assert len(set(numbers)) == 2 * len(values) and [label.value for label in both["left"]] == values
    assert [label.name for label in both["right"]] == [f"right part {value}" for value in values]
