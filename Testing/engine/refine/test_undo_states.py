"""How much undo of a refinement holds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mednextseg.refine.undo_states import UNDO_LEVELS, Step, UndoStack

NOTHING = (None, ())


def step(count: int) -> Step:
    return Step(NOTHING, NOTHING, (np.zeros(count, np.int64),))


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=100), limit=st.integers(0, 2000))
def test_the_newest_actions_are_kept_within_a_limit_of_bytes(counts, limit):
    stack, steps = UndoStack(maximum_bytes=limit), [step(count) for count in counts]
    for each in steps:
        stack.add(each)
    kept = []
    while stack.can_undo:
        kept.append(stack.undo())
    expected, held = [steps[-1]], 0
    for each in reversed(steps[:-1]):
        held += each.changed[0].nbytes
        if held > limit or len(expected) == UNDO_LEVELS:
            break
        expected.append(each)
    assert all(mine is theirs for mine, theirs in zip(kept, expected, strict=True))


def test_what_actions_hold_together_counts_once():
    shared = np.zeros(100, np.int64)
    stack = UndoStack(maximum_bytes=shared.nbytes)
    for _ in range(20):
        stack.add(Step(NOTHING, NOTHING, (shared,)))
    stack.add(step(0))
    count = 0
    while stack.can_undo:
        stack.undo()
        count += 1
    assert count == 21
