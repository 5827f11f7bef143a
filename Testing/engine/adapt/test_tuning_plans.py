"""What an adaptation decides before it trains: labels by name, held-out cases, the gate. No network."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import ball

from mednextseg.adapt.tuning.displacement import displacement, doubts
from mednextseg.adapt.tuning.folds import fold_cases
from mednextseg.adapt.tuning.gate import gate_table, judge
from mednextseg.adapt.tuning.label_plan import plan_labels
from mednextseg.adapt.tuning.options import TuningOptions
from mednextseg.evaluate.case import CaseResult
from mednextseg.evaluate.metrics import evaluate_pair
from mednextseg.geometry import Geometry
from mednextseg.labels.label import Label
from mednextseg.models.library import bundled_models_folder
from mednextseg.models.model_card import ModelCard, read_card
from mednextseg.segmentation_io import Segmentation


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return read_card(bundled_models_folder() / "hippocampus-mr")


def test_labels_are_matched_by_name_and_new_ones_come_last(card: ModelCard) -> None:
    plan = plan_labels(card, [["amygdala", "POSTERIOR_hippocampus"], ["hippocampus anterior"]])
    assert [label.name for label in plan.labels] == ["Anterior hippocampus", "Posterior hippocampus", "amygdala"]
    assert plan.class_sources == (0, 1, 2, None) and plan.new_names == ("amygdala",)
    assert len({label.value for label in plan.labels}) == 3
    assert any("New to hippocampus-mr: amygdala" in note for note in plan.notes)


def test_labels_can_be_renamed_and_joined(card: ModelCard) -> None:
    plan = plan_labels(card, [["head", "body", "tail"]], {"head": "anterior hippocampus", "body": "rest", "tail": "Rest"})
    assert [label.name for label in plan.labels] == ["Anterior hippocampus", "rest"]
    labelmap_kji = np.array([[[0, 1, 2, 3]]])
    drawn = Segmentation(
        labelmap_kji,
        Geometry((1, 1, 4), np.eye(4)),
        tuple(Label(value, name, (0, 0, 0)) for value, name in ((1, "head"), (2, "body"), (3, "tail"))),
    )
    named = plan.named(drawn)
    assert plan.classes(named).tolist() == [[[0, 1, 2, 2]]] and plan.absent(named) == frozenset()
    only_head = plan.named(replace(drawn, labels=drawn.labels[:1]))
    assert plan.absent(only_head) == {2}  # not looked for, which is not the same as not there


@pytest.mark.parametrize(
    ("tables", "same", "sentence"),
    [
        ([[]], {}, "the cases have no labels"),
        ([["a"]], {"b": "c"}, "no case has the label b; the cases have: a"),
        ([["left kidney", "kidney_l"]], {}, "twice: left kidney, kidney_l"),
    ],
)
def test_labels_that_cannot_be_matched_are_said(card: ModelCard, tables: list, same: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        plan_labels(card, tables, same)


@given(st.integers(2, 40))
def test_no_case_is_learned_from_and_measured_in_one_training(count: int) -> None:
    names = [f"case {number}" for number in range(count)]
    folds = fold_cases(names)
    for fold in folds.parts:
        assert fold.training and not set(fold.training) & set(fold.held_out)
    measured = [name for fold in folds.parts for name in fold.held_out]
    assert len(measured) == len(set(measured)) and len(folds.parts) <= 5
    assert set(measured) == set(names) or not set(measured) & set(folds.final)


def test_the_users_split_is_kept() -> None:
    folds = fold_cases(["a", "b", "c"], ["c"])
    assert folds.final == ("a", "b") and folds.final_is_measured
    for names, held_out, sentence in (
        (["a"], None, "one case is not enough"),
        (["a", "b"], ["d"], "no case d to hold out"),
        (["a", "b"], ["a", "b"], "leave cases on both sides"),
    ):
        with pytest.raises(ValueError, match=sentence):
            fold_cases(names, held_out)


def results(overlaps: dict[str, list[int]]) -> list[CaseResult]:
    """Cases in which each label has ten voxels, of which so many are found."""
    cases = []
    for number in range(len(next(iter(overlaps.values())))):
        metrics = {}
        for name, found in overlaps.items():
            reference, prediction = np.zeros((2, 1, 12), dtype=np.uint8), np.zeros((2, 1, 12), dtype=np.uint8)
            reference[0, 0, :10], prediction[0, 0, : found[number]] = 1, 1
            metrics[name] = evaluate_pair(reference, prediction, (1, 1, 1), {name: 1}, 1.0)[name]
        cases.append(CaseResult(str(number), metrics))
    return cases


def test_the_gate_lets_a_gain_pass() -> None:
    outcome = judge(results({"a": [5, 6], "b": [8, 8]}), results({"a": [8, 9], "b": [8, 8]}))
    assert outcome.accepted and not outcome.reasons
    row = outcome.rows[0]
    assert row.change["dice"].mean == pytest.approx(row.after["dice"].mean - row.before["dice"].mean)
    assert row.change["dice"].low <= row.change["dice"].mean <= row.change["dice"].high
    assert outcome.rows[-1].label == "mean" and "Dice before" in gate_table(outcome)


def test_the_gate_holds_a_model_that_loses_one_label_though_the_mean_gains() -> None:
    outcome = judge(results({"a": [3, 3], "b": [9, 9]}), results({"a": [9, 9], "b": [8, 8]}))
    assert not outcome.accepted and outcome.verdict == "kept as a candidate"
    assert outcome.reasons == ("Labels that lose more Dice than 0.01: b by 0.058.",)
    assert judge(results({"a": [3, 3], "b": [9, 9]}), results({"a": [9, 9], "b": [8, 8]}), tolerated_loss=0.1).accepted


def test_the_gate_holds_a_model_that_gains_nothing_and_a_new_label_that_is_not_found() -> None:
    assert not judge(results({"a": [5]}), results({"a": [5]})).accepted
    outcome = judge(results({"a": [0, 0]}), results({"a": [2, 3]}), new_labels=["a"])
    assert not outcome.accepted and "below a Dice of 0.5" in outcome.reasons[0]
    assert judge(results({"a": [0, 0]}), results({"a": [8, 7]}), new_labels=["a"]).accepted


def segmented(center_kji: tuple[int, int, int], names: tuple[str, ...] = ("Organ",), spacing_mm: float = 2.0) -> Segmentation:
    labelmap_kji = ball((30, 40, 50), center_kji, (8, 6, 7)).astype(np.uint8)
    labels = tuple(Label(value, name, (0, 0, 0)) for value, name in enumerate(names, start=1))
    return Segmentation(labelmap_kji, Geometry(labelmap_kji.shape, np.diag([spacing_mm] * 3 + [1.0])), labels)


@pytest.mark.parametrize("moved_kji", [(0, 6, 8), (-5, 0, 0), (4, -9, 3)])
def test_what_was_drawn_beside_the_structure_is_found_out(moved_kji: tuple[int, int, int]) -> None:
    true, drawn = segmented((15, 20, 25)), segmented(tuple(np.array((15, 20, 25)) + moved_kji), ("organ",))
    found = displacement(drawn, true)
    assert found.distance_mm == pytest.approx(2 * np.linalg.norm(moved_kji)) and found.dice_there == pytest.approx(1, abs=1e-4)
    assert found.is_found and "beside what the base finds" in doubts([found, found, None])[0]
    outcome = judge(results({"a": [5]}), results({"a": [9]}), doubts=doubts([found]))
    assert not outcome.accepted


def test_a_base_that_errs_otherwise_is_no_proof_of_a_displacement() -> None:
    true = segmented((15, 20, 25))
    assert not displacement(true, true).is_found
    rough = Segmentation(ball((30, 40, 50), (15, 22, 25), (3, 3, 3)).astype(np.uint8), true.geometry, true.labels)
    assert not displacement(true, rough).is_found  # small, but inside
    assert displacement(segmented((15, 20, 25), ("other",)), true) is None
    moved = displacement(segmented((15, 29, 25)), true)
    assert doubts([displacement(true, true), displacement(true, true), moved]) == [] == doubts([None])


def test_another_structure_elsewhere_is_no_displaced_one() -> None:
    """A base that does not know the images finds something of the same size somewhere: that fits, moved, by chance."""
    drawn = segmented((15, 12, 12))
    elsewhere = ball((30, 40, 50), (15, 28, 36), (5, 10, 7)).astype(np.uint8)
    found = displacement(drawn, Segmentation(elsewhere, drawn.geometry, drawn.labels))
    assert found.dice_here == 0 and 0.6 < found.dice_there < 0.8 and found.structures == 1 and not found.is_found
    assert replace(found, structures=2).is_found  # of two together that would be no chance


def test_budgets_are_checked() -> None:
    for wrong, sentence in (
        ({"minutes": 0}, "more than 0"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"minutes": 1, "steps": 1}, "not both"),
        ({"method": "magic"}, "the method must be one of all, head, adapters"),
        ({"loss": "magic"}, "the loss must be one of dice-ce, tversky"),
        ({"sampling": "magic"}, "the sampling must be one of usual, foreground, hard"),
    ):
        with pytest.raises(ValueError, match=sentence):
            TuningOptions(**wrong)
