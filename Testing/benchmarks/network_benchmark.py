"""The network alone, side by side: MONAI's MedNeXt, the plain network and the fast path, same weights, one process.

    python Testing/benchmarks/network_benchmark.py --quick
    python Testing/benchmarks/network_benchmark.py --variants S B --kernels 3 5 --sizes 64 96 128 --output network.json

Runners take turns, so that a change of the machine's load meets all of them. The stock allocator is measured first, then the
settings of the worker (kernels/allocator.py), because those hold for the rest of the process. Nothing is asserted about times.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from monai.networks.nets.mednext import MedNeXt as MonaiMedNeXt
from monai.networks.nets.mednext import MedNeXtDownBlock as MonaiDownBlock
from torch import Tensor

from mednextseg.kernels import accelerate
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.kernels.precision import computes_in_bfloat16
from mednextseg.models.monai_names import official_names
from mednextseg.networks.mednext import LEVELS, MedNeXt, build_mednext

Runner = Callable[[Tensor], Tensor]
CLASSES = 3


@dataclass
class Row:
    """One line of the table; seconds are medians of a forward pass, the reference is MONAI under the stock allocator."""

    network: str
    patch: int
    allocator: str
    runner: str
    wall_s: float
    cpu_s: float
    times_faster: float
    relative_error: float
    label_agreement: float


def monai_twin(network: MedNeXt) -> MonaiMedNeXt:
    """MONAI's network with the same weights; its down blocks are rebuilt with the official expansion where they differ."""
    config = network.config
    ratios, counts, base = config.expansion_ratios, config.block_counts, config.base_channels
    twin = MonaiMedNeXt(
        init_filters=base,
        in_channels=config.in_channels,
        out_channels=config.num_classes,
        encoder_expansion_ratio=ratios[:LEVELS],
        bottleneck_expansion_ratio=ratios[LEVELS],
        decoder_expansion_ratio=ratios[LEVELS + 1 :],
        kernel_size=config.kernel_size,
        use_residual_connection=True,
        blocks_down=counts[:LEVELS],
        blocks_bottleneck=counts[LEVELS],
        blocks_up=counts[LEVELS + 1 :],
    )
    for level, ratio in enumerate(config.down_ratios):
        width = base * 2**level
        twin.down_blocks[level] = MonaiDownBlock(width, 2 * width, ratio, config.kernel_size, use_residual_connection=True)
    weights = network.state_dict()
    twin.load_state_dict(
        {name: weights[next(iter(official_names({name: value})))] for name, value in twin.state_dict().items()}
    )
    return twin.eval()


def measure(runners: dict[str, Runner], x: Tensor, repeats: int) -> dict[str, tuple[float, float]]:
    """Median (wall, processor) seconds of every runner; they take turns, after one call each to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for turn in range(repeats + 1):
        for name, run in runners.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(x)
            if turn > 0:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: (median(t[0] for t in taken), median(t[1] for t in taken)) for name, taken in times.items()}


def runners_of(network: MedNeXt) -> dict[str, dict[str, Runner]]:
    """allocator -> name -> runner, in the order of measurement."""
    fast = {"fast fp32": accelerate(network)}
    inexact = {"fast bf16 (not exact)": accelerate(network, dtype=torch.bfloat16)} if computes_in_bfloat16() else {}
    stock = {"MONAI": monai_twin(network), "plain": network}
    return {"stock": stock | fast | inexact, "kept": stock | fast | inexact}


def compare(networks: dict[str, MedNeXt], sizes: list[int], repeats: int) -> list[Row]:
    """Every network at every patch size under the stock allocator, then all again under the worker's settings."""
    rows: list[Row] = []
    reference: dict[tuple[str, int], tuple[float, Tensor]] = {}
    for allocator in ("stock", "kept"):
        if allocator == "kept" and not keep_freed_memory():
            break
        for name, network in networks.items():
            runners = runners_of(network)[allocator]
            for size in sizes:
                x = torch.randn(1, 1, size, size, size, generator=torch.Generator().manual_seed(size))
                seconds = measure(runners, x, repeats)
                wall, logits = reference.setdefault((name, size), (seconds["MONAI"][0], runners["MONAI"](x)))
                for runner, (wall_s, cpu_s) in seconds.items():
                    y = runners[runner](x)
                    error = float((y - logits).abs().max() / logits.abs().max())
                    agreement = float((y.argmax(1) == logits.argmax(1)).float().mean())
                    rows.append(Row(name, size, allocator, runner, wall_s, cpu_s, wall / wall_s, error, agreement))
                    print(table_line(rows[-1]), flush=True)
    return rows


def table_head() -> str:
    return (
        "| network | patch | allocator | runner | wall s | cpu s | x MONAI stock | max rel. error | labels equal |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )


def table_line(row: Row) -> str:
    return (
        f"| {row.network} | {row.patch}^3 | {row.allocator} | {row.runner} | {row.wall_s:.3f} | {row.cpu_s:.3f} "
        f"| {row.times_faster:.2f} | {row.relative_error:.1e} | {100 * row.label_agreement:.3f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="S k3 and B k5 at 64^3, three repeats")
    parser.add_argument("--variants", nargs="+", default=["S", "B", "M", "L"])
    parser.add_argument("--kernels", nargs="+", type=int, default=[3, 5])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 96, 128])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    pairs = [(variant, kernel) for variant in options.variants for kernel in options.kernels]
    if options.quick:
        pairs, options.sizes, options.repeats = [("S", 3), ("B", 5)], [64], 3
    networks = {f"{variant} k{kernel}": build_mednext(variant, kernel, 1, CLASSES).eval() for variant, kernel in pairs}
    for network in networks.values():
        network.requires_grad_(False)
    machine = {
        "processor": torch.cpu.get_capabilities().get("cpu_name", "") if hasattr(torch.cpu, "get_capabilities") else "",
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(machine), table_head(), sep="\n\n")
    with torch.no_grad():
        rows = compare(networks, options.sizes, options.repeats)
    if options.output:
        options.output.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main()
