"""`mednextseg cases list | remove`: the cases that were collected in Slicer for adapting. They lie in the home folder, on this computer."""

import argparse
import json
import sys

from mednextseg.cases.collected import collected_cases, remove_case
from mednextseg.json_values import listed


def add_to(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the command and its actions."""
    parser = commands.add_parser("cases", help="list and remove cases collected for adapting", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="action")
    listing = actions.add_parser("list", parents=[common], help="all collected cases, and what is wrong with damaged ones")
    listing.set_defaults(run=_list)
    removing = actions.add_parser("remove", parents=[common], help="delete collected cases")
    removing.add_argument("case", nargs="+", help="id of a case, or a beginning of it")
    removing.set_defaults(run=_remove)


def _list(options: argparse.Namespace) -> int:
    cases, damaged = collected_cases()
    if options.json:
        entries = [{"id": case.id, **case.to_dict(), "folder": str(case.folder)} for case in cases]
        print(json.dumps({"cases": entries, "damaged": damaged}))
    else:
        for case in cases:
            base = "" if case.base is None else f"{case.base.get('id')} {case.base.get('version')}"
            print(f"{case.id}  {case.date[:10]}  {listed([case.name]):24s} {listed([base]):24s} {listed(case.labels)}")
        for problem in damaged.values():
            print(f"mednextseg: {problem}", file=sys.stderr)
    return 1 if damaged else 0


def _remove(options: argparse.Namespace) -> int:
    for name in options.case:
        remove_case(name)
    if options.json:
        print(json.dumps({"removed": options.case}))
    return 0
