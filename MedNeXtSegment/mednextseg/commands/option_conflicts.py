"""Options that say different things of one run."""

import argparse
from collections.abc import Iterable

from mednextseg.json_values import listed


def refuse_beside(reason: str, options: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse options that do not go with the one that was given.

    Args:
        reason: begins the sentence: which option was given, and what it does.
        options: what was typed; an option that was not is None.
        names: of the options that are refused, without dashes.
    Raises:
        ValueError: naming those that were given.
    """
    if wrong := [f"--{name}" for name in names if getattr(options, name) is not None]:
        raise ValueError(f"{reason}, and cannot be combined with {listed(wrong)}; leave one out.")
