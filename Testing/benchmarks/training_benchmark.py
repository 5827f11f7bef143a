"""One step of training on the processor, side by side: forward and backward pass of the same network, in one process, by turns.

    python Testing/benchmarks/training_benchmark.py --quick
    python Testing/benchmarks/training_benchmark.py --turns 5 --output build/bench_training.json

The runners: PyTorch as it is, PyTorch with weights and activations in memory format channels_last_3d, and `kernels.trainable`. The
loss is left out: random gradients of the outputs take its place. Turns alternate, so that a change of the machine's load meets all;
seconds of processor time are given beside seconds of wall time, because the first hardly depend on other programs. Memory is
the resident peak of a step above the level before it. Nothing is asserted about times.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from machine_load import LoadMeter
from peak_memory import with_peak
from torch import Tensor

from mednextseg.kernels import trainable
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

STOCK, LAYOUT, OURS = "PyTorch", "PyTorch, channels last", "trainable"
FULL_PATCH_KJI, QUICK_PATCH_KJI = (80, 96, 80), (48, 64, 48)


def runners(base_channels: int, classes: int, patch_kji: tuple[int, int, int]) -> dict[str, Callable[[], None]]:
    """A step of each runner: the gradients of all parameters."""
    torch.manual_seed(0)
    config = MedNeXtConfig(1, classes, base_channels=base_channels, deep_supervision=True)
    stock = MedNeXt(config)
    last = copy.deepcopy(stock).to(memory_format=torch.channels_last_3d)
    x = torch.randn(1, 1, *patch_kji)
    shapes = [(1, classes, *(n >> level for n in patch_kji)) for level in range(5)]
    seeds = [torch.randn(shape) for shape in shapes]
    seeds_last = [seed.contiguous(memory_format=torch.channels_last_3d) for seed in seeds]
    x_last = x.contiguous(memory_format=torch.channels_last_3d)
    return {
        STOCK: lambda: step(stock, stock, x, seeds),
        LAYOUT: lambda: step(last, last, x_last, seeds_last),
        OURS: lambda: step(last, trainable(last), x_last, seeds_last),
    }


def step(network: MedNeXt, call: Callable[[Tensor], list[Tensor]], x: Tensor, seeds: list[Tensor]) -> None:
    """Forward and backward pass."""
    network.zero_grad(set_to_none=True)
    torch.autograd.backward(call(x), seeds)


def measure(steps: dict[str, Callable[[], None]], turns: int) -> dict[str, dict[str, float | None]]:
    """Medians of wall and processor seconds over the turns, after one that warms up; the peak of memory in that first turn."""
    meter, samples = LoadMeter(), {name: [] for name in steps}
    peaks = {name: with_peak(run)[1] for name, run in steps.items()}
    for _ in range(turns):
        for name, run in steps.items():
            samples[name].append(meter.measure(run))
    return {
        name: {
            "wall_s": round(median(wall for wall, _, _ in taken), 3),
            "cpu_s": round(median(cpu for _, cpu, _ in taken), 3),
            "others_load": round(median(load for _, _, load in taken), 2),
            "peak_mb": None if peaks[name] is None else round(peaks[name] / 2**20),
        }
        for name, taken in samples.items()
    }


def main() -> None:
    """Measure and print; the ratios are those of medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a smaller patch, two turns: about ten seconds on a quiet machine")
    parser.add_argument("--base-channels", type=int, default=16)
    parser.add_argument("--classes", type=int, default=33)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, help="of each runner")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    patch = QUICK_PATCH_KJI if options.quick else FULL_PATCH_KJI
    start = time.monotonic()
    rows = measure(runners(options.base_channels, options.classes, patch), options.turns or (2 if options.quick else 5))
    for name, row in rows.items():
        ratios = f"{row['wall_s'] / rows[OURS]['wall_s']:.1f}x wall, {row['cpu_s'] / rows[OURS]['cpu_s']:.1f}x processor time"
        peak = "" if row["peak_mb"] is None else f", peak {row['peak_mb']} MB"
        print(f"{name:24s} {row['wall_s']:7.2f} s, processor {row['cpu_s']:7.2f} s{peak} ({ratios} of {OURS})")
    print(
        f"patch {patch}, {options.threads} threads, others' load {rows[OURS]['others_load']:.0%}, {time.monotonic() - start:.0f} s in all"
    )
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"patch_kji": patch, "threads": options.threads, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
