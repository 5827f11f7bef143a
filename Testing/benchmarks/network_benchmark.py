"""The network alone, side by side: MONAI's MedNeXt and the fast path, same weights, one process for each cell of the table.

    python Testing/benchmarks/network_benchmark.py --quick
    python Testing/benchmarks/network_benchmark.py --output docs/developers/benchmarks_network.json --seconds 200   # and again, until done
    python Testing/benchmarks/network_report.py docs/developers

Runners take turns, so that a change of the machine's load meets all of them. The stock allocator is measured first, then the
settings of the worker (kernels/allocator.py), because those hold for the rest of the process. A turn during which other programs
computed is repeated; where the machine was never quiet, the row says how busy it was. Nothing is asserted about times.
"""

import argparse
import json
import multiprocessing
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from machine_load import LoadMeter
from monai.networks.nets.mednext import MedNeXt as MonaiMedNeXt
from monai.networks.nets.mednext import MedNeXtDownBlock as MonaiDownBlock
from torch import Tensor

from mednextseg.kernels import accelerate
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.kernels.precision import computes_in_bfloat16
from mednextseg.models.monai_names import official_names
from mednextseg.networks.mednext import LEVELS, VARIANTS, MedNeXt, build_mednext

Runner = Callable[[Tensor], Tensor]
REFERENCE = "MONAI"
CLASSES = 3
QUIET_LOAD = 0.05
_LONG_CALL_S = 5.0  # does not need a call to warm up, and is not worth one
_LONGEST_REFERENCE_S = 60.0


@dataclass(frozen=True)
class Cell:
    """A network and the edge of its cubic patch in voxels."""

    variant: str
    kernel: int
    patch: int

    @property
    def network(self) -> str:
        return f"{self.variant} k{self.kernel}"


@dataclass
class Row:
    """One runner of a cell.

    Attributes:
        wall_s, cpu_s: medians of a forward pass over the quietest turns; None where the runner was left out for its length.
        turns: how many turns the medians are over.
        other_load: cores that other programs used during them, as a share of all cores (median).
        relative_error: largest difference from the reference's logits, as a share of its largest logit.
        label_agreement: share of voxels whose largest logit is that of the reference.
    """

    network: str
    patch: int
    allocator: str
    runner: str
    wall_s: float | None
    cpu_s: float | None
    turns: int
    other_load: float
    relative_error: float | None
    label_agreement: float | None


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


def measure(runners: dict[str, Runner], x: Tensor, turns: int, budget_s: float) -> dict[str, tuple[float, float, int, float]]:
    """(wall, processor seconds, turns, load by others) of every runner: medians over the quietest turns.

    They take turns until each has `turns` quiet ones or the budget is spent; the first call of a short runner warms up and is not
    counted.
    """
    meter, start = LoadMeter(), time.perf_counter()
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in runners}
    warm: set[str] = set()
    while True:
        for name, run in runners.items():
            sample = meter.measure(lambda run=run: run(x))
            if name in warm or sample[0] > _LONG_CALL_S:
                taken[name].append(sample)
            warm.add(name)
        enough = all(sum(load < QUIET_LOAD for _, _, load in samples) >= turns for samples in taken.values())
        if enough or (time.perf_counter() - start > budget_s and all(taken.values())):
            break
    medians = {}
    for name, samples in taken.items():
        quietest = sorted(samples, key=lambda sample: sample[2])[:turns]
        medians[name] = (
            *(median(sample[n] for sample in quietest) for n in (0, 1)),
            len(quietest),
            median(s[2] for s in quietest),
        )
    return medians


@torch.no_grad()
def measure_cell(cell: Cell, turns: int, budget_s: float) -> list[Row]:
    """All runners of a cell under the stock allocator, then under the worker's. For a process of its own."""
    torch.manual_seed(0)
    network = build_mednext(cell.variant, cell.kernel, 1, CLASSES).eval().requires_grad_(False)
    fast = {"fast fp32": accelerate(network)}
    inexact = {"fast bf16": accelerate(network, dtype=torch.bfloat16)} if computes_in_bfloat16() else {}
    reference = {REFERENCE: monai_twin(network)}
    x = torch.randn(1, 1, *(cell.patch,) * 3, generator=torch.Generator().manual_seed(cell.patch))
    left_out = _expected_seconds(reference[REFERENCE], cell.patch) > _LONGEST_REFERENCE_S
    if left_out:
        reference = {}
    logits = reference[REFERENCE](x) if reference else None
    rows = [Row(cell.network, cell.patch, "stock", REFERENCE, None, None, 0, 0.0, None, None)] if left_out else []
    for allocator, runners in (("stock", reference | fast), ("kept", reference | fast | inexact)):
        if allocator == "kept" and not keep_freed_memory():
            break
        for name, times in measure(runners, x, turns, budget_s).items():
            agreement = (None, None) if logits is None else _agreement(runners[name](x), logits)
            rows.append(Row(cell.network, cell.patch, allocator, name, *times, *agreement))
    return rows


def _expected_seconds(reference: Runner, patch: int) -> float:
    """From a smaller patch; the work grows with the number of voxels."""
    edge = min(patch, 64)
    start = time.perf_counter()
    reference(torch.zeros(1, 1, edge, edge, edge))
    return (time.perf_counter() - start) * (patch / edge) ** 3


def _agreement(y: Tensor, logits: Tensor) -> tuple[float, float]:
    return float((y - logits).abs().max() / logits.abs().max()), float((y.argmax(1) == logits.argmax(1)).float().mean())


def machine() -> dict[str, str | int]:
    return {"system": platform.platform(), "threads": torch.get_num_threads(), "torch": torch.__version__}


def measured_cells(rows: list[Row]) -> set[tuple[str, int]]:
    """Cells whose every runner met a quiet machine."""
    keys = {(row.network, row.patch) for row in rows}
    return keys - {(row.network, row.patch) for row in rows if row.other_load >= QUIET_LOAD}


def add_cell(rows: list[Row], new: list[Row]) -> list[Row]:
    """Replace the rows of the cell by the new ones, unless the machine was busier for those."""
    key = (new[0].network, new[0].patch)
    old = [row for row in rows if (row.network, row.patch) == key]
    if old and max(row.other_load for row in old) <= max(row.other_load for row in new):
        return rows
    return [row for row in rows if (row.network, row.patch) != key] + new


def read_rows(file: Path | None) -> list[Row]:
    """What earlier runs measured; none where there is no file."""
    if file is None or not file.exists():
        return []
    return [Row(**row) for row in json.loads(file.read_text(encoding="utf-8"))["rows"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="S k3 and B k5 at 64^3, three turns")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--kernels", nargs="+", type=int, default=[3, 5])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 96, 128])
    parser.add_argument("--turns", type=int, default=5, help="quiet turns of each runner")
    parser.add_argument("--budget", type=float, default=40.0, help="seconds for the turns of one cell under one allocator")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="start no cell later than this; run again for the rest"
    )
    parser.add_argument(
        "--output", type=Path, help="JSON file to write; cells it holds from a quiet machine are not measured again"
    )
    options = parser.parse_args()
    cells = [Cell(v, k, size) for size in options.sizes for v in options.variants for k in options.kernels]
    if options.quick:
        cells, options.turns, options.budget = [Cell("S", 3, 64), Cell("B", 5, 64)], 3, 20.0
    rows, start = [] if options.quick else read_rows(options.output), time.monotonic()
    done = measured_cells(rows)
    # A new process for each cell: once the allocator keeps memory, nothing takes that back.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for cell in cells:
            if (cell.network, cell.patch) in done:
                continue
            if time.monotonic() - start > options.seconds:
                break
            new = pool.apply(measure_cell, (cell, options.turns, options.budget))
            rows = add_cell(rows, new)
            for row in new:
                print(json.dumps(asdict(row)), flush=True)
            if options.output:
                content = {"machine": machine(), "rows": [asdict(row) for row in rows]}
                options.output.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
