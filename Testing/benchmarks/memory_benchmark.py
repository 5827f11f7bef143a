"""Predicted against measured peak memory: one fresh process a case, from its start to the finished labels (Linux).

python Testing/benchmarks/memory_benchmark.py [--output FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from benchmark_cases import ct_like, package
from peak_memory import resident_bytes
from torch import nn

from mednextseg.kernels.allocator import keep_freed_memory, release_freed_memory
from mednextseg.networks.mednext import build_mednext
from mednextseg.networks.stu_net import build_stu_net
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe


@dataclass(frozen=True)
class Case:
    """A run; the volume has the network's spacing times `scale`."""

    network: str
    classes: int
    patch: int
    shape_kji: tuple[int, int, int]
    scale: float = 1.0
    precision: str = "fp32"
    tta: bool = False


CASES = (
    Case("S k3", 3, 64, (96, 96, 96)),
    Case("S k3", 25, 64, (160, 160, 160), 0.8),
    Case("S k5", 3, 96, (150, 150, 150)),
    Case("B k3", 3, 96, (128, 128, 128), precision="bf16"),
    Case("S k3", 100, 64, (192, 192, 192)),
    Case("M k3", 3, 64, (128, 128, 128), tta=True),
    Case("L k3", 3, 64, (128, 128, 128)),
    Case("S k3", 25, 128, (256, 200, 200), 0.9),
    Case("STU-Net B", 25, 96, (128, 128, 128)),
    Case("S k3", 3, 64, (300, 512, 512), 0.4),
)


def run_case(case: Case) -> dict:
    """Segment in this process; returns both numbers."""
    keep_freed_memory()
    torch.manual_seed(0)
    volume_kji, geometry = ct_like(case.shape_kji, (case.scale,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        model = package(Path(folder), _network(case), (case.patch,) * 3, mirror_axes_kji=[2])
        release_freed_memory()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # making the volume is no part of the run
        recipe = SegmentRecipe(precision=case.precision, tta=case.tta, overlap=0.0)
        _, report = segment(volume_kji, geometry, model, recipe=recipe, device="cpu")
    return {"predicted_bytes": report.memory.total, "measured_bytes": resident_bytes("VmHWM"), "notes": report.notes}


def _network(case: Case) -> nn.Module:
    kind, _, kernel = case.network.partition(" k")
    if kind.startswith("STU-Net"):
        return build_stu_net(kind[-1], 1, case.classes)
    return build_mednext(kind, int(kernel), 1, case.classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", type=int, help="run this one in the process itself")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(run_case(CASES[options.case])))
        return
    print(
        "| network | classes | patch | volume | precision | predicted GB | measured GB | ratio |\n|---|---|---|---|---|---|---|---|"
    )
    rows = []
    for number, case in enumerate(CASES):
        run = subprocess.run([sys.executable, __file__, "--case", str(number)], capture_output=True, text=True, check=True)
        row = asdict(case) | json.loads(run.stdout.splitlines()[-1])
        rows.append(row)
        predicted, measured = row["predicted_bytes"] / 1e9, row["measured_bytes"] / 1e9
        volume = " x ".join(map(str, case.shape_kji))
        print(
            f"| {case.network} | {case.classes} | {case.patch} | {volume} | {case.precision} | {predicted:.2f} | {measured:.2f} "
            f"| {predicted / measured:.2f} |",
            flush=True,
        )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
