"""What the gate is told: figures of the same cases before and after, from one training or from several."""

from collections.abc import Sequence
from dataclasses import dataclass

from mednextseg.adapt.tuning.displacement import doubts
from mednextseg.adapt.tuning.gate import GateOutcome, judge
from mednextseg.adapt.tuning.measure import Measured
from mednextseg.evaluate.case import CaseResult


@dataclass(frozen=True)
class Evidence:
    """Figures that no training saw.

    Attributes:
        before, after: of the held-out cases, in the same order.
        new_labels: names of the labels that the base does not have.
        remembered: before and after on the base's own reference cases; both empty where it carries none.
    """

    before: tuple[Measured, ...]
    after: tuple[CaseResult, ...]
    new_labels: frozenset[str]
    remembered: tuple[tuple[CaseResult, ...], tuple[CaseResult, ...]] = ((), ())

    def judged(self, tolerated_loss: float) -> GateOutcome:
        """What the gate says of it; errors as of `judge`."""
        questions = doubts([found.displacement for found in self.before])
        results = [found.result for found in self.before]
        return judge(results, self.after, self.new_labels, tolerated_loss, questions, self.remembered)


def joined(parts: Sequence[Evidence]) -> Evidence:
    """The evidence of trainings that were measured on different cases, as if it were of one."""
    return Evidence(
        tuple(found for part in parts for found in part.before),
        tuple(result for part in parts for result in part.after),
        frozenset().union(*(part.new_labels for part in parts)),
        tuple(tuple(result for part in parts for result in part.remembered[n]) for n in (0, 1)),
    )
