"""What every method says of itself."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class TuningMethod:
    """A choice of what is trained.

    Attributes:
        name: on the command line and in reports.
        title: one line for people.
        learning_rate: that suits it, of AdamW.
        build: the network that is trained, from the base's with the result's classes; its first answers are the base's, unless its file
            says otherwise.
        trained: names of the parameters that are trained; the others stay as they are.
    """

    name: str
    title: str
    learning_rate: float
    build: Callable[[nn.Module], nn.Module]
    trained: Callable[[nn.Module], frozenset[str]]
