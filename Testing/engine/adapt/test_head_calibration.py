"""What is added to logits finds structures that were drawn and not found, the same on both sides, and nothing else."""

import torch
from torch import Tensor

from mednextseg.adapt.heads.calibration import best_biases
from mednextseg.adapt.heads.structures import structures
from mednextseg.adapt.heads.validation import dice_of_structures

TABLE = structures()
LEFT, RIGHT = TABLE.code("left thalamus"), TABLE.code("right thalamus")
LEFT_THIN, RIGHT_THIN = TABLE.code("left inferior lateral ventricle"), TABLE.code("right inferior lateral ventricle")


def drawn_codes() -> Tensor:
    codes = torch.zeros(8, 16, 16, dtype=torch.int64)
    codes[2:6, 4:12, 2:6], codes[2:6, 4:12, 10:14] = RIGHT, LEFT
    codes[3, 5:11, 6], codes[3, 5:11, 9] = RIGHT_THIN, LEFT_THIN
    return codes


def logits_of(codes: Tensor, shy: float) -> Tensor:
    """Right everywhere by one, but for the thin structures, which are too low by `shy`."""
    logits = torch.nn.functional.one_hot(codes, len(TABLE.classes)).movedim(-1, 0).float()
    logits[[LEFT_THIN, RIGHT_THIN]] -= shy
    return logits


def test_a_structure_that_is_known_and_never_wins_is_found_on_both_sides() -> None:
    codes = drawn_codes()
    logits = logits_of(codes, shy=2.5)
    assert dice_of_structures(logits.argmax(0), codes)[LEFT_THIN] == 0
    biases = best_biases([(logits, codes)])
    assert biases[LEFT_THIN] == biases[RIGHT_THIN] and biases[LEFT_THIN] > 1.5
    found = (logits + biases[:, None, None, None]).argmax(0)
    assert torch.equal(found, codes)


def test_nothing_is_added_where_nothing_is_gained_or_known() -> None:
    codes = drawn_codes()
    assert best_biases([(logits_of(codes, shy=0.0), codes)]).abs().max() == 0
    codes[codes > 0] = TABLE.code("left lobe")  # drawn by another protocol: no class of its own
    assert best_biases([(logits_of(drawn_codes(), shy=2.5), codes)]).abs().max() == 0


def test_one_number_serves_both_sides() -> None:
    codes = drawn_codes()
    logits = logits_of(codes, shy=2.5)
    logits[RIGHT_THIN] += 1.0
    biases = best_biases([(logits, codes), (logits, codes)])
    assert biases[LEFT_THIN] == biases[RIGHT_THIN] > 1.5
