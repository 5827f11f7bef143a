"""In which order the slices of a preview are worth a look: each in the middle of the longest stretch that nobody has looked at."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from mednextseg.refine.propagation import PropagatedSlice


def by_stretches(filled: Sequence[PropagatedSlice], places: Sequence[int], worked_on: Iterable[int]) -> list[PropagatedSlice]:
    """The slices that were filled in, ordered.

    A correction there says most about what lies around it; on the least sure slices, which are those at the ends, it says least
    (docs/developers/refine_evaluation.md).

    Args:
        filled: the slices.
        places: where each lies along the normal, in slices, rising.
        worked_on: the places of slices that the user worked on.
    """
    if not filled:
        return []
    at = dict(zip(places, filled, strict=True))
    looked_at = sorted({*worked_on, places[0] - 1, places[-1] + 1})
    ordered = []
    while len(ordered) < len(at):
        stretches = [[place for place in range(first + 1, last) if place in at] for first, last in pairwise(looked_at)]
        longest = max(stretches, key=len)
        middle = longest[(len(longest) - 1) // 2]
        ordered.append(at[middle])
        looked_at = sorted([*looked_at, middle])
    return ordered
