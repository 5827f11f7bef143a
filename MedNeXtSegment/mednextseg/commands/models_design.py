"""`mednextseg models design`: which MedNeXt to train within a given memory; a suggestion, with the recipe that trains it."""

import argparse
import json
import re
import time
from itertools import islice
from pathlib import Path

from mednextseg.networks.sizing import Design, designs

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SHOWN, _TIMED = 5, 20
_CAUTION = "The score (DeepMAD, CVPR 2023) was published for pictures' classes; for segmentation it is a suggestion, not a measurement."


def add_action(actions: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Register the action below `mednextseg models`."""
    action = actions.add_parser(
        "design", parents=[common], help="suggest a MedNeXt to train within a memory", description=__doc__
    )
    action.add_argument("--memory", required=True, type=_bytes, help="for training on one patch at a time, such as 8GB")
    action.add_argument("--parameters", type=_count, default=float("inf"), help="at most so many weights, such as 10e6")
    action.add_argument("--seconds", type=_count, help="at most so long for one patch on this computer's processor; measured")
    action.add_argument("--patch", type=_patch, default=(96, 96, 96), help="voxels I,J,K of a patch; 96,96,96 unless given")
    action.add_argument("--channels", type=_at_least_one, default=1, help="of the images; 1 unless given")
    action.add_argument("--labels", type=_at_least_one, default=1, help="structures to tell apart; 1 unless given")
    action.add_argument("-o", "--output", type=Path, help="write the best one as a training recipe, to be completed")
    action.set_defaults(run=_design)


def _design(options: argparse.Namespace) -> int:
    found = designs(options.channels, options.labels + 1, options.patch, options.memory, options.parameters)
    timed = [(design, None) for design in found[:_SHOWN]]
    if options.seconds is not None:
        measured = ((design, _seconds(design, options.patch)) for design in found[:_TIMED])
        timed = list(islice(((d, seconds) for d, seconds in measured if seconds <= options.seconds), _SHOWN))
    if not timed:
        raise ValueError("no MedNeXt fits within these limits; allow more memory or time, or give a smaller --patch.")
    if options.output is not None:
        _write_recipe(timed[0][0], options.patch, options.output)
    rows = [_row(design, seconds) for design, seconds in timed]
    print(json.dumps({"designs": rows, "caution": _CAUTION}) if options.json else _table(rows))
    return 0


def _seconds(design: Design, patch_kji: tuple[int, ...]) -> float:
    """Of one forward pass by the fast kernels, the better of two."""
    import torch  # noqa: PLC0415  (only where something is measured)

    from mednextseg.kernels import accelerate  # noqa: PLC0415
    from mednextseg.networks.mednext import MedNeXt  # noqa: PLC0415

    run = accelerate(MedNeXt(design.config))
    patch, spent = torch.zeros(1, design.config.in_channels, *patch_kji), []
    for _ in range(2):
        start = time.perf_counter()
        run(patch)
        spent.append(time.perf_counter() - start)
    return min(spent)


def _row(design: Design, seconds: float | None) -> dict:
    config = design.config
    return {
        "base_channels": config.base_channels,
        "kernel_size": config.kernel_size,
        "block_counts": config.block_counts,
        "expansion_ratios": config.expansion_ratios,
        "score": round(design.score),
        "parameters": design.parameters,
        "training_gb": round(design.training_bytes / 1e9, 2),
        "multiply_adds": design.multiply_adds,
        "seconds_a_patch": None if seconds is None else round(seconds, 2),
    }


def _table(rows: list[dict]) -> str:
    lines = ["channels kernel blocks             ratios              score  weights  training     multiply-adds"]
    for row in rows:
        blocks, ratios = ("-".join(map(str, row[name])) for name in ("block_counts", "expansion_ratios"))
        timed = "" if row["seconds_a_patch"] is None else f"  {row['seconds_a_patch']:g} s a patch"
        lines.append(
            f"{row['base_channels']:8d} {row['kernel_size']:6d} {blocks:18s} {ratios:18s} {row['score']:6d} "
            f"{row['parameters'] / 1e6:6.1f} M {row['training_gb']:6.2f} GB {row['multiply_adds'] / 1e9:12.1f} G{timed}"
        )
    return "\n".join([*lines, _CAUTION])


def _write_recipe(design: Design, patch_kji: tuple[int, ...], path: Path) -> None:
    from mednextseg.files import write_text  # noqa: PLC0415

    config = design.config
    recipe = {
        "id": "my-model",
        "title": "My model",
        "variant": "S",
        "kernel_size": config.kernel_size,
        "base_channels": config.base_channels,
        "block_counts": config.block_counts,
        "expansion_ratios": config.expansion_ratios,
        "patch_size_kji": patch_kji,
        "batch_size": 1,
        "normalization": [{"scheme": "zscore"}] * config.in_channels,
    }
    write_text(path, json.dumps(recipe, indent=1) + "\n")


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
