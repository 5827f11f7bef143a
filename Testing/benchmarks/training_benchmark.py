"""One step of training on the processor, side by side: forward and backward pass of the same network, by turns.

    python Testing/benchmarks/training_benchmark.py --quick
    python Testing/benchmarks/training_benchmark.py --turns 5 --output build/bench_training.json

The runners: PyTorch as it comes, PyTorch with weights and activations in memory format channels_last_3d, and `kernels.trainable`.
Each has a process of its own, because the first keeps the stock allocator and the others get that of `mednextseg train`
(kernels/allocator.py). The loss is left out: random gradients of the outputs take its place. The processes take turns, so that a
change of the machine's load meets all; processor seconds are given beside wall seconds, because they depend less on other programs.
Memory is the resident peak of a step above the level before the first one. Nothing is asserted about times.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from machine_load import LoadMeter
from peak_memory import with_peak
from torch import Tensor

from mednextseg.kernels import trainable
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.networks.mednext import MedNeXt, MedNeXtConfig

STOCK, LAST, OURS = "PyTorch", "PyTorch, channels last", "trainable"
FULL_PATCH_KJI, QUICK_PATCH_KJI = (80, 96, 80), (48, 64, 48)
Grid = tuple[int, int, int]


def serve(runner: str, patch_kji: Grid, base_channels: int, classes: int, threads: int, connection: Connection) -> None:
    """In a process of its own: answer every message with (wall s, processor s, others' load) of a step, the first with its peak."""
    torch.set_num_threads(threads)
    if runner != STOCK:
        keep_freed_memory()
    run, meter = step_of(runner, patch_kji, base_channels, classes), LoadMeter()
    connection.recv()
    connection.send(with_peak(run)[1])
    while connection.recv():
        connection.send(meter.measure(run))


def step_of(runner: str, patch_kji: Grid, base_channels: int, classes: int) -> Callable[[], None]:
    """The gradients of all parameters for a random patch."""
    torch.manual_seed(0)
    layout = torch.contiguous_format if runner == STOCK else torch.channels_last_3d
    network = MedNeXt(MedNeXtConfig(1, classes, base_channels=base_channels, deep_supervision=True)).to(memory_format=layout)
    call = trainable(network) if runner == OURS else network

    def random(*shape: int) -> Tensor:
        return torch.randn(shape).contiguous(memory_format=layout)

    x = random(1, 1, *patch_kji)
    gradients = [random(1, classes, *(n >> level for n in patch_kji)) for level in range(5)]

    def step() -> None:
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(call(x), gradients)

    return step


def measure(runners: tuple[str, ...], turns: int, *settings: object) -> dict[str, dict[str, float | None]]:
    """Medians over the turns, after one that warms up and gives the peak of memory."""
    spawn, connections, peaks = multiprocessing.get_context("spawn"), {}, {}
    for runner in runners:
        connections[runner], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(runner, *settings, theirs), daemon=True).start()
    for runner, connection in connections.items():
        connection.send(True)
        peaks[runner] = connection.recv()
    samples: dict[str, list[tuple[float, float, float]]] = {runner: [] for runner in runners}
    for _ in range(turns):
        for runner, connection in connections.items():
            connection.send(True)
            samples[runner].append(connection.recv())
    for connection in connections.values():
        connection.send(False)
    return {
        runner: {
            "wall_s": round(median(wall for wall, _, _ in taken), 3),
            "cpu_s": round(median(cpu for _, cpu, _ in taken), 3),
            "others_load": round(median(load for _, _, load in taken), 2),
            "peak_mb": None if peaks[runner] is None else round(peaks[runner] / 2**20),
        }
        for runner, taken in samples.items()
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
    patch = QUICK_PATCH_KJI if options.quick else FULL_PATCH_KJI
    start, turns = time.monotonic(), options.turns or (2 if options.quick else 5)
    rows = measure((STOCK, LAST, OURS), turns, patch, options.base_channels, options.classes, options.threads)
    for name, row in rows.items():
        ratios = f"{row['wall_s'] / rows[OURS]['wall_s']:.1f}x wall, {row['cpu_s'] / rows[OURS]['cpu_s']:.1f}x processor time"
        peak = "" if row["peak_mb"] is None else f", peak {row['peak_mb']} MB"
        print(f"{name:24s} {row['wall_s']:7.2f} s, processor {row['cpu_s']:7.2f} s{peak} ({ratios} of {OURS})")
    load, seconds = rows[OURS]["others_load"], time.monotonic() - start
    print(f"patch {patch}, {options.threads} threads, others' load {load:.0%}, {seconds:.0f} s in all")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"patch_kji": patch, "threads": options.threads, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
