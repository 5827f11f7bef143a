"""Structures joined by name; each trap of position-indexed public scripts has its test here."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.labels.names import (
    AXIAL_RANGE_LABELS,
    TOLERANCES_MM,
    canonical_name,
    join_labels,
    label_table,
    names_in,
)
from mednextseg.labels.table_files import table_from_json
from mednextseg.labels.tables import LABEL_TABLES

_A_EVAL_ORGANS = (
    "spleen",
    "right kidney",
    "left kidney",
    "gallbladder",
    "liver",
    "stomach",
    "pancreas",
    "right adrenal gland",
    "left adrenal gland",
    "esophagus",
)
_ABDOMINAL_SETS = ("FLARE22", "AMOS", "BTCV", "WORD-A-Eval", "TotalSegmentator-CT", "TotalSegmentator-MR")


@pytest.mark.parametrize("spelling", ["kidney_right", "Right Kidney", "kidney R", "KIDNEY-RIGHT", "r_kidney", "rt. kidney"])
def test_spellings_of_one_structure_are_one_name(spelling: str) -> None:
    assert canonical_name(spelling) == "right kidney"


def test_structures_that_only_look_alike_stay_apart() -> None:
    assert canonical_name("vertebrae_L1") != canonical_name("vertebrae_T1")
    assert canonical_name("prostate/uterus") != canonical_name("prostate")
    assert canonical_name("kidney_cyst_left") != canonical_name("kidney_left")
    assert canonical_name("liver tumour") != canonical_name("liver")


@given(st.sampled_from([name for table in LABEL_TABLES.values() for name in table]))
def test_canonical_names_stay_as_they_are(name: str) -> None:
    assert canonical_name(canonical_name(name)) == canonical_name(name)


@pytest.mark.parametrize("reference", _ABDOMINAL_SETS)
@pytest.mark.parametrize("prediction", _ABDOMINAL_SETS)
def test_all_ten_abdominal_organs_are_joined_between_any_two_data_sets(reference: str, prediction: str) -> None:
    # Trap: a list of classes that stops at 8 of 10 organs.
    join = join_labels(label_table(reference), label_table(prediction))
    pairs = {pair.name: pair for pair in join.pairs}
    assert set(_A_EVAL_ORGANS) <= set(pairs)
    for organ in _A_EVAL_ORGANS:
        assert pairs[organ].reference_values == LABEL_TABLES[reference][organ]
        assert pairs[organ].prediction_values == LABEL_TABLES[prediction][organ]


@pytest.mark.parametrize("prediction", _ABDOMINAL_SETS)
@pytest.mark.parametrize("reference", _ABDOMINAL_SETS)
def test_tolerances_follow_the_organ_whatever_its_position(reference: str, prediction: str) -> None:
    # Trap: tolerances indexed in FLARE22's order gave the gallbladder 5 mm and the liver and stomach 2 mm.
    expected = {
        "liver": 5, "right kidney": 3, "left kidney": 3, "spleen": 3, "pancreas": 5, "gallbladder": 2, "esophagus": 3,
        "stomach": 5, "right adrenal gland": 2, "left adrenal gland": 2,
    }  # fmt: skip
    for pair in join_labels(label_table(reference), label_table(prediction)).pairs:
        if pair.name in expected:
            assert pair.tolerance_mm == expected[pair.name], pair.name


def test_only_tubes_are_cut_to_the_reference_slices() -> None:
    # Trap: position-indexed trimming cut the gallbladder, then the liver and the stomach.
    assert frozenset({"aorta", "inferior vena cava", "esophagus"}) == AXIAL_RANGE_LABELS
    assert all(canonical_name(name) == name for name in (*AXIAL_RANGE_LABELS, *TOLERANCES_MM))


@pytest.mark.parametrize("order", ["FLARE22", "AMOS", "TotalSegmentator-CT"])
def test_the_gallbladder_is_judged_over_all_slices_and_the_esophagus_with_its_last_one_in_any_order(order: str) -> None:
    # Traps: the wrong organ trimmed; and an exclusive upper bound that lost the last labeled slice.
    table = label_table(order)
    reference, prediction = np.zeros((2, 12, 8, 8), dtype=np.int16)
    for organ, column in (("gallbladder", 0), ("esophagus", 4)):
        (value,) = table[organ]
        reference[3:8, 2:5, column : column + 3] = value
        prediction[1:8, 2:5, column : column + 3] = value
    prediction[7, :, 4:] = 0
    join = join_labels(table, table)
    labels = {pair.name: pair.reference_values for pair in join.pairs if pair.name in ("gallbladder", "esophagus")}
    ranged = [pair.name for pair in join.pairs if pair.key in AXIAL_RANGE_LABELS]
    result = evaluate_pair(reference, prediction, (1, 1, 1), labels, 1.0, axial_range=ranged)
    assert result["gallbladder"]["dice"] == pytest.approx(2 * 5 / (5 + 7)), "slices beyond the reference count"
    assert result["esophagus"]["dice"] == pytest.approx(2 * 4 / (5 + 4)), "the missed last slice counts"


def test_a_union_is_matched_with_all_its_parts() -> None:
    whole, parts = {"kidney": (7,)}, {"kidney_left": (2,), "kidney_right": (3,)}
    (pair,) = join_labels(whole, parts).pairs
    assert (pair.name, pair.reference_values, sorted(pair.prediction_values)) == ("kidney", (7,), [2, 3])
    (pair,) = join_labels(parts, whole).pairs
    assert (pair.name, sorted(pair.reference_values), pair.prediction_values) == ("kidney", [2, 3], (7,))
    assert join_labels(parts, whole).only_reference == ()


def test_a_side_that_lacks_a_part_does_not_have_the_union() -> None:
    with pytest.raises(ValueError, match="share no label name"):
        join_labels({"kidney": (1,)}, {"left kidney": (2,)})


def test_a_lung_is_put_together_from_lobes_through_two_levels() -> None:
    join = join_labels({"lungs": (1,)}, label_table("TotalSegmentator-CT"))
    assert sorted(join.pairs[0].prediction_values) == [10, 11, 12, 13, 14]
    sides = {
        pair.name: pair for pair in join_labels(label_table("TotalSegmentator-MR"), label_table("TotalSegmentator-CT")).pairs
    }
    assert sorted(sides["right lung"].prediction_values) == [12, 13, 14]


def test_words_adrenal_glands_meet_data_sets_that_tell_left_from_right() -> None:
    pairs = {pair.name: pair for pair in join_labels(label_table("WORD"), label_table("AMOS")).pairs}
    assert pairs["adrenal gland"].reference_values == (12,)
    assert sorted(pairs["adrenal gland"].prediction_values) == [11, 12]
    assert "left adrenal gland" not in pairs


def test_a_hippocampus_divided_otherwise_is_compared_as_a_whole() -> None:
    halves = label_table("MSD-Task04-Hippocampus")
    (pair,) = join_labels({"Left-Hippocampus": (17,), "Right-Hippocampus": (53,)}, halves).pairs
    assert (pair.name, pair.reference_values, pair.prediction_values) == ("hippocampus", (17, 53), (1, 2))
    assert [pair.name for pair in join_labels({"hippocampus": (17, 53)}, halves).pairs] == ["hippocampus"]


def test_a_union_of_parts_that_both_sides_have_is_measured_only_where_it_is_asked_for() -> None:
    halves = label_table("MSD-Task04-Hippocampus")
    assert [pair.name for pair in join_labels(halves, halves).pairs] == ["anterior hippocampus", "posterior hippocampus"]
    *parts, whole = join_labels(halves, halves, ["Hippocampus"]).pairs
    assert len(parts) == 2
    assert (whole.name, whole.reference_values, whole.tolerance_mm) == ("hippocampus", (1, 2), 1.0)
    assert join_labels(halves, {"anterior hippocampus": (1,)}, ["hippocampus"]).pairs[-1].name == "anterior hippocampus"
    with pytest.raises(ValueError, match="no union brain; known: kidney"):
        join_labels(halves, halves, ["brain"])


def test_the_decathlons_liver_includes_its_tumors() -> None:
    pairs = {pair.name: pair for pair in join_labels(label_table("msd-task03-liver"), label_table("FLARE22")).pairs}
    assert pairs["liver"].reference_values == (1, 2)
    assert pairs["liver"].prediction_values == (1,)


def test_the_uterus_is_not_compared_with_the_prostate() -> None:
    join = join_labels(label_table("AMOS"), label_table("TotalSegmentator-CT"))
    assert "prostate" not in {pair.name for pair in join.pairs}
    assert "prostate or uterus" in join.only_reference
    assert "prostate" in join.only_prediction


def test_one_structure_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="same structure twice"):
        join_labels({"kidney_left": (1,), "Left Kidney": (2,)}, {"left kidney": (1,)})


def test_tables_come_from_dataset_json_from_unions_and_by_name() -> None:
    table = table_from_json({"background": 0, "liver": 1, "kidney": [2, 3]})
    assert table == {"liver": (1,), "kidney": (2, 3)}
    assert table_from_json("amos") is LABEL_TABLES["AMOS"]
    with pytest.raises(ValueError, match="known: FLARE22"):
        table_from_json("unheard of")
    with pytest.raises(ValueError, match="must be a whole number"):
        table_from_json({"liver": "one"})


@pytest.mark.parametrize(("table", "task"), [("TotalSegmentator-CT", "total"), ("TotalSegmentator-MR", "total_mr")])
def test_totalsegmentators_tables_are_those_of_its_class_map(table: str, task: str, shared_data: Path) -> None:
    class_map = json.loads((shared_data / "totalseg_example" / "class_map.json").read_text(encoding="utf-8"))[task]
    for name, (value,) in LABEL_TABLES[table].items():
        assert canonical_name(class_map[str(value)]) == canonical_name(name)


_NAMES = st.lists(
    st.text("ab, /", min_size=1, max_size=6).map(str.strip).filter(bool), min_size=1, max_size=4, unique_by=lambda n: n
)


@given(_NAMES, st.sampled_from([",", ", ", " , "]))
def test_a_list_of_names_may_hold_names_with_commas(names: list[str], comma: str) -> None:
    text = comma.join(names)
    found = names_in(text, names)
    assert set(found) <= set(names) and "".join(",".join(found).split()) == "".join(text.split())
    if not any("," in name for name in names):
        assert found == names


def test_a_name_that_is_not_known_stays_and_an_empty_list_is_refused() -> None:
    known = ["left/right, lobe", "organ"]
    assert names_in("organ, left/right, lobe,nope", known) == ["organ", "left/right, lobe", "nope"]
    with pytest.raises(ValueError, match="holds no names"):
        names_in(" ,", known)
