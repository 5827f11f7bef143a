"""Which cases are learned from and which are kept for the figures: no case is ever both in one training."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mednextseg.json_values import listed

# From so many cases on a fifth of them can be kept away; fewer are left out one after the other.
_ENOUGH = 10
_SHARE = 5
_MOST_FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """Names of the cases of one training."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]


@dataclass(frozen=True)
class Folds:
    """How the figures come about.

    Attributes:
        parts: each measures its held-out cases with a training of its own.
        final: the cases that the result learns from.
        explanation: one sentence.
    """

    parts: tuple[Fold, ...]
    final: tuple[str, ...]
    explanation: str

    @property
    def final_is_measured(self) -> bool:
        """Whether the result is the very network that was measured."""
        return len(self.parts) == 1 and self.parts[0].training == self.final


def fold_cases(names: Sequence[str], held_out: Collection[str] | None = None) -> Folds:
    """Divide the cases: the user's own split; else a fifth kept away; else, of fewer than ten, each left out once, in five parts at most.

    Args:
        names: of all cases, in a fixed order.
        held_out: the user's choice of cases that are kept for the figures; None for none.
    Raises:
        ValueError: for a single case, a choice that leaves nothing on one side, or one that names a case that is not there.
    """
    if len(names) < 2:
        raise ValueError(
            f"{'one case' if names else 'no case'} is not enough to adapt a model and to test it; give two at the least, better five."
        )
    if held_out is not None:
        if unknown := [name for name in held_out if name not in names]:
            raise ValueError(f"there is no case {listed(unknown)} to hold out; the cases are: {listed(names)}.")
        kept = tuple(name for name in names if name in held_out)
        training = tuple(name for name in names if name not in held_out)
        if not kept or not training:
            raise ValueError("the split must leave cases on both sides: to learn from, and to test the result on.")
        return Folds((Fold(training, kept),), training, f"measured on the {len(kept)} held-out cases of the given split")
    if len(names) >= _ENOUGH:
        kept = tuple(names[_SHARE - 1 :: _SHARE])
        training = tuple(name for name in names if name not in kept)
        return Folds((Fold(training, kept),), training, f"measured on {len(kept)} cases that were kept away from the training")
    count = min(len(names), _MOST_FOLDS)
    parts = []
    for number in range(count):
        kept = tuple(names[number::count])
        parts.append(Fold(tuple(name for name in names if name not in kept), kept))
    how = "each case by a training without it" if count == len(names) else f"in {count} parts, each by a training without it"
    return Folds(tuple(parts), tuple(names), f"measured {how}; the result itself has learned from all {len(names)}")
