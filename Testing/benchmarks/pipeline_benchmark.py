"""The whole pipeline side by side: this engine, MONAI's inferer and nnU-Net v2's predictor, same weights and volumes, one process.

    python Testing/benchmarks/pipeline_benchmark.py [--unet] [--quick] [--output FILE] [--figure FILE]

MedNeXt-S k3 (or with --unet nnU-Net's own PlainConvUNet, without MONAI) with random weights and 25 classes on a CT that is upsampled from
a real one; windows of 64 voxels. The other programs run first, under the stock allocator; then this engine under the setting of its
worker. Also how long the worker keeps one waiting. nnU-Net is left out, and said so, where build/bench (requirements-bench.txt) is
absent. Nothing is asserted about times.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("nnUNet_def_n_proc", "2")
_ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(_ROOT / "build/bench"))

import torch  # noqa: E402
from benchmark_cases import ct_like, package  # noqa: E402
from peak_memory import with_peak  # noqa: E402
from pipeline_figure import write_figure  # noqa: E402
from pipeline_runners import Runner, monai, nnunet, ours  # noqa: E402
from worker_latency import worker_latency  # noqa: E402

from mednextseg.kernels.allocator import keep_freed_memory  # noqa: E402
from mednextseg.networks.mednext import build_mednext  # noqa: E402
from mednextseg.networks.plain_conv_unet import PlainConvUNet, PlainConvUNetConfig  # noqa: E402

CLASSES, PATCH_KJI = 25, (64, 64, 64)
SPACING_MM = 0.8
EDGES, QUICK_EDGES = (80, 120, 160), (80, 100)  # voxels: 1, 8 and 27 windows at 1 mm


@dataclass
class Row:
    """One program on one volume; memory is the peak above what the process held before, agreement that with this engine's labels.

    Seconds of the processor, all threads together, say what a run costs where other programs take turns with it.
    """

    program: str
    edge: int
    seconds: float
    processor_seconds: float
    peak_bytes: int | None
    times_slower: float = 1.0
    times_processor: float = 1.0
    times_memory: float | None = 1.0
    label_agreement: float = 1.0


def compare(programs: dict[str, Runner], edges: tuple[int, ...]) -> list[Row]:
    """Every program on every volume; the last one is the reference of ratios and agreement."""
    rows, results = [], {}
    for name, run in programs.items():
        if name == list(programs)[-1]:
            keep_freed_memory()
            run(*ct_like((EDGES[0],) * 3, (SPACING_MM,) * 3))  # a worker is warm
        for edge in edges:
            volume_kji, geometry = ct_like((edge,) * 3, (SPACING_MM,) * 3)
            start, used = time.perf_counter(), time.process_time()
            labels, peak_bytes = with_peak(lambda run=run, case=(volume_kji, geometry): run(*case))
            rows.append(Row(name, edge, time.perf_counter() - start, time.process_time() - used, peak_bytes))
            results[name, edge] = labels
            print(f"{name}, {edge}^3: {rows[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    reference = {row.edge: row for row in rows if row.program == list(programs)[-1]}
    for row in rows:
        best = reference[row.edge]
        row.times_slower = row.seconds / best.seconds
        row.times_processor = row.processor_seconds / best.processor_seconds
        row.times_memory = row.peak_bytes / best.peak_bytes if row.peak_bytes and best.peak_bytes else None
        row.label_agreement = float((results[row.program, row.edge] == results[best.program, row.edge]).mean())
    return rows


def table(rows: list[Row]) -> str:
    """The rows as a table in markdown."""
    lines = [
        "| volume | program | seconds | times ours | of the processor | times ours | peak GB | times ours | labels equal to ours |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.edge):
        memory = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f}"
        ratio = "" if row.times_memory is None else f"{row.times_memory:.1f}"
        lines.append(
            f"| {row.edge}^3 | {row.program} | {row.seconds:.2f} | {row.times_slower:.1f} "
            f"| {row.processor_seconds:.2f} | {row.times_processor:.1f} | {memory} | {ratio} "
            f"| {100 * row.label_agreement:.3f} % |"
        )
    return "\n".join(lines)


def plain_conv_unet() -> PlainConvUNet:
    """As nnU-Net plans it for isotropic CT."""
    kernels, strides = ((3, 3, 3),) * 6, ((1, 1, 1), *((2, 2, 2),) * 5)
    return PlainConvUNet(PlainConvUNetConfig(1, CLASSES, (32, 64, 128, 256, 320, 320), kernels, strides, (2,) * 6, (2,) * 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two small volumes")
    parser.add_argument("--unet", action="store_true", help="nnU-Net's PlainConvUNet of six stages instead of MedNeXt-S")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--figure", type=Path, help="PNG file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = (plain_conv_unet() if options.unet else build_mednext("S", 3, 1, CLASSES)).eval().requires_grad_(False)
    programs = {} if options.unet else {"MONAI": monai(network, PATCH_KJI)}
    try:
        programs["nnU-Net v2"] = nnunet(network, PATCH_KJI)
    except ImportError as error:
        print(f"nnU-Net v2 is left out: {error}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        model = package(Path(folder) / "model", network, PATCH_KJI, architecture=asdict(network.config))
        rows = compare({**programs, "ours": ours(model)}, QUICK_EDGES if options.quick else EDGES)
        latency = worker_latency(model.folder, *ct_like((EDGES[0],) * 3, (SPACING_MM,) * 3))
    machine = {"system": platform.platform(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps(machine), table(rows), json.dumps(latency, indent=2), sep="\n\n")
    if options.output:
        result = {"machine": machine, "rows": [asdict(row) for row in rows], "latency_seconds": latency}
        options.output.write_text(json.dumps(result, indent=2), encoding="utf-8")
    if options.figure:
        write_figure([asdict(row) for row in rows], options.figure)


if __name__ == "__main__":
    main()
