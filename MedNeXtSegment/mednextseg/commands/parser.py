"""The parser of the command line."""

import argparse
import re
from collections.abc import Sequence

from mednextseg import __version__
from mednextseg.commands import adapt, cases, evaluate, models, refine, segment, serve, train

_NUMBERS = re.compile(r"-\.?\d")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one command, with `run` to be called with them; ends the program for --help and mistakes, as argparse does."""
    return _parser().parse_args(_with_numbers_joined(arguments))


def _with_numbers_joined(arguments: Sequence[str]) -> list[str]:
    """Numbers below zero after their option, as people write them (`--roi -44,-8,...`), which argparse takes for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and _NUMBERS.match(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    common.add_argument("--verbose", action="store_true", help="log what happens, and the details of errors")
    parser = argparse.ArgumentParser(prog="mednextseg", description="Segment CT and MR volumes with MedNeXt.")
    parser.add_argument("--version", action="version", version=f"mednextseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (segment, refine, models, evaluate, adapt, cases, train, serve):
        command.add_to(commands, common)
    return parser
