"""Which MedNeXt to train within a memory, as rows for people and as the recipe that trains the best one."""

import json
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from mednextseg.networks.mednext import SIZE_DIVISOR
from mednextseg.networks.sizing import Design, designs

CAUTION = "The score (DeepMAD, CVPR 2023) was published for pictures' classes; for segmentation it is a suggestion, not a measurement."
USUAL_PATCH = 96, 96, 96
_SHOWN, _TIMED = 5, 20


def suggested_networks(
    memory_bytes: float,
    channels: int = 1,
    labels: int = 1,
    patch_kji: Sequence[int] = USUAL_PATCH,
    most_parameters: float = float("inf"),
    most_seconds: float | None = None,
    recipe: Path | None = None,
) -> list[dict]:
    """The best five networks, the one with the highest score first.

    Args:
        memory_bytes: for training on one patch at a time.
        channels: of the images.
        labels: structures to tell apart.
        patch_kji: voxels of a patch, multiples of 16.
        most_parameters: weights.
        most_seconds: for one patch on this computer's processor, measured; None measures nothing.
        recipe: file for the recipe of the first one, to be completed; None for none.
    Returns:
        "base_channels", "kernel_size", "block_counts", "expansion_ratios", "score", "parameters", "training_gb", "multiply_adds" and
        "seconds_a_patch" (None where nothing was measured) of each.
    Raises:
        ValueError: in one sentence, for a patch that no MedNeXt takes, and where none fits.
        OSError: where the recipe cannot be written.
    """
    if len(patch_kji) != 3 or any(type(n) is not int or n <= 0 or n % SIZE_DIVISOR for n in patch_kji):
        raise ValueError(f"a patch must be three multiples of {SIZE_DIVISOR}, such as 96, 96, 96, got {list(patch_kji)}.")
    found = designs(channels, labels + 1, tuple(patch_kji), memory_bytes, most_parameters)
    timed = [(design, None) for design in found[:_SHOWN]]
    if most_seconds is not None:
        measured = ((design, _seconds(design, patch_kji)) for design in found[:_TIMED])
        timed = list(islice(((d, seconds) for d, seconds in measured if seconds <= most_seconds), _SHOWN))
    if not timed:
        raise ValueError("no MedNeXt fits within these limits; allow more memory or time, or give a smaller patch.")
    if recipe is not None:
        _write_recipe(timed[0][0], patch_kji, recipe)
    return [_row(design, seconds) for design, seconds in timed]


def _seconds(design: Design, patch_kji: Sequence[int]) -> float:
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


def _write_recipe(design: Design, patch_kji: Sequence[int], path: Path) -> None:
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
        "patch_size_kji": list(patch_kji),
        "batch_size": 1,
        "normalization": [{"scheme": "zscore"}] * config.in_channels,
    }
    write_text(path, json.dumps(recipe, indent=1) + "\n")
