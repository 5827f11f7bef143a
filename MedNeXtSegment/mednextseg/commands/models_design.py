"""`mednextseg models design`: which MedNeXt to train within a given memory; a suggestion, with the recipe that trains it."""

import argparse
import json
import re
from pathlib import Path

from mednextseg.adapt.mednext.suggested_networks import CAUTION, USUAL_PATCH, suggested_networks

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def add_action(actions: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the action below `mednextseg models`."""
    action = actions.add_parser(
        "design", parents=[common], help="suggest a MedNeXt to train within a memory", description=__doc__
    )
    action.add_argument("--memory", required=True, type=_bytes, help="for training on one patch at a time, such as 8GB")
    action.add_argument("--parameters", type=_count, default=float("inf"), help="at most so many weights, such as 10e6")
    action.add_argument("--seconds", type=_count, help="at most so long for one patch on this computer's processor; measured")
    action.add_argument("--patch", type=_patch, default=USUAL_PATCH, help="voxels I,J,K of a patch; 96,96,96 unless given")
    action.add_argument("--channels", type=_at_least_one, default=1, help="of the images; 1 unless given")
    action.add_argument("--labels", type=_at_least_one, default=1, help="structures to tell apart; 1 unless given")
    action.add_argument("-o", "--output", type=Path, help="write the best one as a training recipe, to be completed")
    action.set_defaults(run=_design)


def _design(options: argparse.Namespace) -> int:
    rows = suggested_networks(
        options.memory, options.channels, options.labels, options.patch, options.parameters, options.seconds, options.output
    )
    print(json.dumps({"designs": rows, "caution": CAUTION}) if options.json else _table(rows))
    return 0


def _table(rows: list[dict]) -> str:
    lines = ["channels kernel blocks             ratios              score  weights  training     multiply-adds"]
    for row in rows:
        blocks, ratios = ("-".join(map(str, row[name])) for name in ("block_counts", "expansion_ratios"))
        timed = "" if row["seconds_a_patch"] is None else f"  {row['seconds_a_patch']:g} s a patch"
        lines.append(
            f"{row['base_channels']:8d} {row['kernel_size']:6d} {blocks:18s} {ratios:18s} {row['score']:6d} "
            f"{row['parameters'] / 1e6:6.1f} M {row['training_gb']:6.2f} GB {row['multiply_adds'] / 1e9:12.1f} G{timed}"
        )
    return "\n".join([*lines, CAUTION])


def _bytes(text: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?B?)\s*", text.upper())
    unit = None if found is None else _UNITS.get(found[2] if found[2].endswith("B") or not found[2] else f"{found[2]}B")
    if found is None or unit is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no memory; write it as 8GB or 500MB.")
    return float(found[1]) * unit


def _count(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0.")
    return value


def _at_least_one(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 on.")
    return int(text)


def _patch(text: str) -> tuple[int, ...]:
    """K, J, I from I, J, K."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 and int(part) % 16 == 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} must be three multiples of 16, such as 96,96,96.")
    return tuple(int(part) for part in reversed(parts))
