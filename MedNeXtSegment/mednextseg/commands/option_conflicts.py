"""Options that say different things of one run."""

import argparse
from collections.abc import Iterable

from mednextseg.json_values import listed


def refuse_beside(reason: str, options: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse options that do not go with the one that was given.

    Args:
        reason: begins the sentence: which option was given, and what it does.
        options: what was typed; an option that was not is None.
        names: of the options that are refused, as attributes.
    Raises:
        ValueError: naming those that were given.
    """
    if wrong := [_typed(name) for name in names if getattr(options, name) is not None]:
        raise ValueError(f"{reason}, and cannot be combined with {listed(wrong)}; leave one out.")


def refuse_without(options: argparse.Namespace, needed: str, names: Iterable[str]) -> None:
    """Refuse options that say something of another one which was not given.

    Args:
        options: what was typed; an option that was not is None.
        needed: name of the option that they go with, as an attribute.
        names: of those options.
    Raises:
        ValueError: naming those that were given.
    """
    if getattr(options, needed) is None and (alone := [_typed(name) for name in names if getattr(options, name) is not None]):
        raise ValueError(f"{listed(alone)} goes with {_typed(needed)}, which was not given; give both, or neither.")


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
