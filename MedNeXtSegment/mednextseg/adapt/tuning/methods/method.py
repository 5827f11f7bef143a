"""What every method says of itself."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mednextseg.models.tuning_choices import METHODS


@dataclass(frozen=True)
class TuningMethod:
    """A choice of what is trained.

    Attributes:
        name: of its line in models/tuning_choices.py.
        learning_rate: that suits it, of AdamW.
        build: the network that is trained, from the base's with the result's classes and the size of its windows; its first answers are
            the base's, unless its file says otherwise.
        trained: names of the parameters that are trained; the others stay as they are.
        keeps_base: whether the package holds what was trained alone, and takes the rest from the installed base.
    """

    name: str
    learning_rate: float
    build: Callable[[nn.Module, tuple[int, int, int]], nn.Module]
    trained: Callable[[nn.Module], frozenset[str]]
    keeps_base: bool = False

    @property
    def title(self) -> str:
        """A few words for people."""
        return METHODS[self.name].title
