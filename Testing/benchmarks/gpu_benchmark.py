"""MedNeXt on a graphics card: this engine against the plain network, eager and under torch.compile, and against what memory allows.

    python Testing/benchmarks/gpu_benchmark.py --output gpu.json
    python Testing/benchmarks/gpu_benchmark.py --variants S B --kernels 3 --sizes 96 --batches 1 4 --dtypes float16

The plain network has the arithmetic and the speed of the official one. Each runner is timed with device events on random input, in
turns, after it has compiled and warmed up; the figure is the median. The bound is the time that the memory needs to move every
activation once in and once out of each of the two kernels of a block, at the bandwidth of a large copy on the same card. Where
there is no card, nothing is measured, and the script says so.
"""

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from mednextseg.kernels.cuda.support import verified_engine
from mednextseg.kernels.plain import PlainRunner
from mednextseg.networks.mednext import LEVELS, MedNeXt, MedNeXtConfig, build_mednext

Runner = Callable[[Tensor], Tensor]
CLASSES = 25
NOT_MEASURED = "not measured here: PyTorch sees no CUDA device on this machine."


@dataclass
class Row:
    """One line of the table; times are medians of a forward pass of the whole batch."""

    network: str
    patch: int
    batch: int
    dtype: str
    runner: str
    milliseconds: float
    times_faster: float  # than the plain network under torch.compile, or eager where that was left out
    bound_milliseconds: float
    fraction_of_bound: float
    relative_error: float  # largest difference from the plain network in float32
    label_agreement: float
    peak_gigabytes: float


def fewest_bytes(config: MedNeXtConfig, patch: int, batch: int, element_bytes: int) -> int:
    """What must pass through the memory of the card: five activations a block (depthwise in and out; that, residual and result).

    A down block reads its input twice (at 1/8 for the residual) and writes half the elements; an up block works on eight phases.
    """
    counts, base, voxels = config.block_counts, config.base_channels, patch**3 * batch
    elements = voxels * base  # the stem's result; the head reads it again
    for level in range(LEVELS + 1):
        size = voxels * base * 2**level // 8**level
        stages = counts[level] + (counts[2 * LEVELS - level] if level < LEVELS else 0)
        elements += 5 * size * stages
        if level < LEVELS:
            down = size * (1 + 1 / 8 + 1 / 8 + 1 / 8 + 1 / 4)  # x, y out, y in, residual, result
            up = size * (1 / 4 + 2 + 2 + 1 / 4 + 1 + 1)  # x, y out, y in, residual, skip in, result
            elements += int(down + up)
    return element_bytes * (elements + voxels * base) + 4 * voxels * (config.in_channels + config.num_classes)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second that a large copy on the card reads and writes."""
    source = torch.randn(2**28, device=device)
    target = torch.empty_like(source)
    seconds = milliseconds({"copy": target.copy_}, source, 20)["copy"] / 1000
    return 2 * source.nbytes / seconds


def milliseconds(runners: dict[str, Runner], x: Tensor, repeats: int) -> dict[str, float]:
    """Median of every runner, by device events; they take turns, after three calls each to compile, capture and warm up."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(repeats + 3):
        for name, run in runners.items():
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            run(x)
            stop.record()
            torch.cuda.synchronize()
            if turn >= 3:
                times[name].append(start.elapsed_time(stop))
    return {name: median(taken) for name, taken in times.items()}


def runners_of(network: MedNeXt, device: torch.device, dtype: torch.dtype, compiled: bool) -> dict[str, Runner]:
    """Name -> runner; all but the engine are PyTorch's own, under autocast."""
    runners: dict[str, Runner] = {"plain eager": PlainRunner(network, device, dtype)}
    contiguous = PlainRunner(network, device, dtype, channels_last=False)
    runners["plain eager, channels first"] = contiguous
    if compiled:
        torch._dynamo.reset()
        optimized = PlainRunner(network, device, dtype, channels_last=False)
        optimized.module = torch.compile(optimized.module)
        runners["plain compiled"] = optimized
    engine = verified_engine(network, device, dtype) if device.type == "cuda" else None
    if engine is not None:
        runners["engine, no graph"] = lambda x: engine.run(x)[0]
        runners["engine"] = engine
    return runners


def measure(network: MedNeXt, name: str, patch: int, batch: int, dtype: torch.dtype, options: argparse.Namespace) -> list[Row]:
    """All runners on one network, patch, batch and type."""
    device = torch.device(options.device)
    generator = torch.Generator().manual_seed(patch)
    x = torch.randn(batch, 1, patch, patch, patch, generator=generator).to(device)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        reference = PlainRunner(network, device, torch.float32)(x)
    runners = runners_of(network, device, dtype, not options.no_compile)
    medians = milliseconds(runners, x, options.repeats)
    slowest = medians.get("plain compiled", medians["plain eager"])
    bound = 1000 * fewest_bytes(network.config, patch, batch, dtype.itemsize) / options.bandwidth
    rows = []
    for runner, run in runners.items():
        torch.cuda.reset_peak_memory_stats(device)
        y = run(x)
        error = float((y - reference).abs().max() / reference.abs().max())
        agreement = float((y.argmax(1) == reference.argmax(1)).float().mean())
        peak, taken = torch.cuda.max_memory_allocated(device) / 1e9, medians[runner]
        kind = str(dtype).removeprefix("torch.")
        rows.append(Row(name, patch, batch, kind, runner, taken, slowest / taken, bound, bound / taken, error, agreement, peak))
        print(table_line(rows[-1]), flush=True)
    return rows


def table_head() -> str:
    return (
        "| network | patch | batch | type | runner | ms | x compiled | bound ms | of the bound | max rel. error | labels equal "
        "| peak GB |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|"
    )


def table_line(row: Row) -> str:
    return (
        f"| {row.network} | {row.patch}^3 | {row.batch} | {row.dtype} | {row.runner} | {row.milliseconds:.2f} | {row.times_faster:.2f} "
        f"| {row.bound_milliseconds:.2f} | {100 * row.fraction_of_bound:.0f} % | {row.relative_error:.1e} "
        f"| {100 * row.label_agreement:.3f} % | {row.peak_gigabytes:.2f} |"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["L"])
    parser.add_argument("--kernels", nargs="+", type=int, default=[5])
    parser.add_argument("--sizes", nargs="+", type=int, default=[128])
    parser.add_argument("--batches", nargs="+", type=int, default=[1])
    parser.add_argument("--dtypes", nargs="+", default=["float16", "bfloat16"], choices=["float16", "bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    machine = {"system": platform.platform(), "torch": torch.__version__}
    rows: list[Row] = []
    if not torch.cuda.is_available():
        machine["card"] = NOT_MEASURED
        print(NOT_MEASURED)
    else:
        device = torch.device(options.device)
        torch.cuda.set_device(device)
        options.bandwidth = copy_bandwidth(device)
        machine |= {"card": torch.cuda.get_device_name(device), "bytes_a_second": options.bandwidth}
        print(json.dumps(machine), table_head(), sep="\n\n")
        for variant, kernel in product(options.variants, options.kernels):
            torch.manual_seed(0)
            network = build_mednext(variant, kernel, 1, CLASSES).eval().requires_grad_(False)
            for patch, batch, kind in product(options.sizes, options.batches, options.dtypes):
                rows += measure(network, f"{variant} k{kernel}", patch, batch, getattr(torch, kind), options)
    if options.output:
        options.output.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main()
