"""How well objects in three dimensions are refined, with a simulated user; the tables of docs/developers/refine_evaluation.md.

    python Testing/benchmarks/refine_3d whole_object|doubtful|repair --data DATA [--objects-per-set 2] [--sets IXI]

Objects are those of validation lists, or of volumes that nobody trained on (objects.py). Everything is drawn from fixed
seeds: the tables are the same each time, but for the seconds.
"""

import argparse
from pathlib import Path

import doubtful
import repair
import whole_object
from objects import objects

from mednextseg.refine import load_prompter

_TABLES = {"whole_object": whole_object.table, "doubtful": doubtful.table, "repair": repair.table}


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=_TABLES)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--objects-per-set", type=int, default=2)
    parser.add_argument("--sets", nargs="+", help="only these, of hippocampus, OpenKBP, IXI, la2018, acdc and mini3d")
    parser.add_argument("--walk", action="store_true", help="whole objects without the network that completes them")
    parser.add_argument("--prompter", default="clicknet")
    options = parser.parse_args()
    targets = [
        target
        for target in objects(options.data, options.objects_per_set)
        if options.sets is None or target.dataset in options.sets
    ]
    prompter = load_prompter(options.prompter)
    if options.walk:
        prompter.completion = None
    _TABLES[options.table](targets, prompter, options.data)


if __name__ == "__main__":
    main()
