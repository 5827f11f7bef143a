"""Everything that a graphics card must prove, in less than eight minutes: equal results everywhere, and how fast they come.

    python Testing/benchmarks/gpu_check.py -o build/gpu_check      # gpu_check.json and gpu_check.md
    python Testing/benchmarks/gpu_check.py --device cpu --quick    # tries the script itself where there is no card

The sections come in the order of their weight; what the time does not suffice for is left out and named. A section fails where a result
is not that of the plain network or of the processor; speed is only reported. Exit status 1 where one failed.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).resolve().parents[2] / "build/bench"))

import numpy as np
import torch
from benchmark_cases import ct_like, package
from gpu_benchmark import CLASSES, NOT_MEASURED, copy_bandwidth, fewest_bytes, runners_of
from pipeline_runners import nnunet, ours
from torch import Tensor

from mednextseg.kernels.plain import PlainRunner
from mednextseg.models.library import bundled_models_folder
from mednextseg.networks.mednext import build_mednext
from mednextseg.refine.loading import load_prompter
from mednextseg.refine.prompts import Prompts
from mednextseg.segment.finish.label_reduction import LabelReduction
from mednextseg.segment.finish.label_reduction_on_device import LabelReductionOnDevice
from mednextseg.segment.prepare.resampling import resize, resize_planes

_MOST_ERROR = {torch.float32: 1e-3, torch.bfloat16: 5e-2}  # of the largest logit; a graph must replay the engine's bits
_LEAST_AGREEMENT = {torch.float32: 0.9999, torch.bfloat16: 0.99}
_SPACING_MM = 0.8


@dataclass(frozen=True)
class Sizes:
    """How large the checks are."""

    patch: int = 64
    large_patch: int = 128
    kernels: tuple[int, ...] = (3, 5)
    variants: tuple[str, ...] = ("S", "B", "M", "L")
    network_planes: tuple[int, int, int] = (64, 256, 256)
    volume_edge: int = 256
    repeats: int = 15
    types: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)


QUICK = Sizes(32, 32, (3,), ("S",), (8, 24, 24), 40, 1, (torch.float32,))


@dataclass
class Section:
    """One thing to prove: rows of figures, and what was wrong."""

    title: str
    rows: list[dict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


def networks(device: torch.device, sizes: Sizes) -> Section:
    """The engine against the plain network, with and without its graph."""
    section = Section("Networks: the engine equals the plain one")
    for variant, kernel, dtype in product(sizes.variants, sizes.kernels, sizes.types):
        section.rows += _compared(variant, kernel, sizes.patch, dtype, device, sizes.repeats, False, section.problems)
    return section


def large_network(device: torch.device, sizes: Sizes) -> Section:
    """L k5 against torch.compile and the bandwidth of the card."""
    section = Section("L k5 in large windows, beside torch.compile and what the card's memory allows")
    variant, kernel = sizes.variants[-1], sizes.kernels[-1]
    section.rows += _compared(
        variant, kernel, sizes.large_patch, sizes.types[-1], device, sizes.repeats, device.type == "cuda", section.problems
    )
    if device.type == "cuda":
        config = build_mednext(variant, kernel, 1, CLASSES).config
        bound_s = fewest_bytes(config, sizes.large_patch, 1, 2) / copy_bandwidth(device)
        for row in section.rows:
            row["of the bound"] = f"{100 * 1000 * bound_s / row['ms']:.0f} %"
    return section


def image_and_labels(device: torch.device, sizes: Sizes) -> Section:
    """Resampling an image, and reducing class values to labels, against the processor."""
    section = Section("Resampling and label reduction equal the processor's")
    generator = torch.Generator().manual_seed(0)
    values = torch.nn.functional.avg_pool3d(torch.randn(CLASSES, *sizes.network_planes, generator=generator), 3, 1, 1)
    target = tuple(int(n * 1.25) for n in sizes.network_planes)
    labels, taken = {}, {}
    for name, kind, where in (("processor", LabelReduction, "cpu"), ("card", LabelReductionOnDevice, str(device))):
        there = values.to(where)
        for _ in range(2):  # the second time all is warm
            reduction = kind(values.shape[1:], target, list(range(CLASSES)))
            taken[name] = _seconds(lambda there=there, reduction=reduction: reduction.add(0, there), device)
        labels[name] = reduction.labelmap_kji
    agreement = float((labels["card"] == labels["processor"]).mean())
    section.rows.append({"what": "labels", **_milliseconds_of(taken), "equal": f"{100 * agreement:.4f} %"})
    if agreement < _LEAST_AGREEMENT[torch.float32]:
        section.problems.append(f"labels agree in {100 * agreement:.3f} % of the voxels only")
    image, resampled = values[0].numpy(), np.empty(target, np.float32)
    taken = {"processor": _seconds(lambda: resize(image, target), device)}
    for _ in range(2):
        run = lambda: resize_planes(lambda planes: image[planes], image.shape, resampled, device=str(device))  # noqa: E731
        taken["card"] = _seconds(run, device)
    error = float(np.abs(resampled - resize(image, target)).max())
    section.rows.append({"what": "image", **_milliseconds_of(taken), "equal": f"to {error:.1e}"})
    if error > 1e-4:
        section.problems.append(f"the image is off by {error:.1e}")
    return section


def pipeline(device: torch.device, sizes: Sizes) -> Section:
    """A whole run on a CT, beside the processor and nnU-Net's predictor on the same card."""
    section = Section(f"A whole run, S k3, {CLASSES} classes, {sizes.volume_edge}^3 voxels")
    torch.manual_seed(0)
    network, patch = build_mednext("S", 3, 1, CLASSES).eval().requires_grad_(False), (sizes.patch,) * 3
    volume_kji, geometry = ct_like((sizes.volume_edge,) * 3, (_SPACING_MM,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        model = package(Path(folder) / "model", network, patch, architecture=asdict(network.config))
        programs = {"ours": ours(model, str(device)), "ours, processor": ours(model, "cpu")}
        try:
            programs["nnU-Net v2"] = nnunet(network, patch, str(device))
        except ImportError as error:
            section.rows.append({"program": f"nnU-Net v2 is left out: {error}"})
        found = {}
        for name, run in programs.items():
            if name == "ours":
                run(volume_kji[:, : sizes.patch, : sizes.patch], geometry.cropped((0, 0, 0), (sizes.volume_edge, *patch[1:])))
            start = time.perf_counter()
            found[name] = run(volume_kji, geometry)
            agreement = float((found[name] == found["ours"]).mean())
            row = {
                "program": name,
                "seconds": round(time.perf_counter() - start, 3),
                "labels equal": f"{100 * agreement:.3f} %",
            }
            section.rows.append(row)
    # Untrained networks are full of close calls, and convolutions add up in another order on a card.
    if (found["ours, processor"] == found["ours"]).mean() < 0.99:
        section.problems.append("the labels of a run on the card are not those of the processor")
    return section


def clicks(device: torch.device, sizes: Sizes) -> Section:
    """One click of ClickNet."""
    section, answers = Section("A click: ClickNet on a slice of 512 x 512 pixels"), {}
    click = Prompts(points_rc=np.array([[300.0, 220.0]]), labels=np.array([1]))
    rows, columns = np.mgrid[:512, :512]
    slice_rc = np.exp(-((rows - 300) ** 2 + (columns - 220) ** 2) / 4000).astype(np.float32)
    for name, where in (("processor", "cpu"), ("card", str(device))):
        prompter = load_prompter(bundled_models_folder() / "clicknet", where)
        embedding = prompter.encode(slice_rc)
        answer = partial(prompter.predict, embedding, click)
        answers[name] = answer().probability
        taken = [_seconds(answer, device) for _ in range(sizes.repeats)]
        section.rows.append({"where": name, "ms": round(1000 * median(taken), 2)})
    error = float(np.abs(answers["card"] - answers["processor"]).max())
    if error > 1e-3:
        section.problems.append(f"probabilities are off by {error:.1e}")
    return section


SECTIONS: tuple[Callable[[torch.device, Sizes], Section], ...] = (networks, image_and_labels, clicks, pipeline, large_network)


def checked(device: torch.device, sizes: Sizes, minutes: float) -> Iterator[Section]:
    """The sections, one after the other; those that would begin after the time is up are named only."""
    started = time.monotonic()
    for check in SECTIONS:
        begun = time.monotonic()
        if begun - started > 60 * minutes:
            yield Section(check.__doc__.rstrip("."), problems=[f"left out: the {minutes:g} minutes were over"])
            continue
        section = check(device, sizes)
        section.seconds = round(time.monotonic() - begun, 1)
        yield section


def report(machine: dict, sections: list[Section]) -> str:
    """All of it in markdown."""
    lines = ["# What this graphics card proved", "", json.dumps(machine)]
    for section in sections:
        lines += ["", f"## {section.title}", "", f"{section.seconds} s; {'; '.join(section.problems) or 'all equal'}", ""]
        columns = list(dict.fromkeys(name for row in section.rows for name in row))
        lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"] if columns else []
        lines += ["| " + " | ".join(str(row.get(name, "")) for name in columns) + " |" for row in section.rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=6.0, help="no section begins later; the longest takes two")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script itself")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/gpu_check"), help="folder for both reports")
    options = parser.parse_args()
    machine, sections = {"system": platform.platform(), "torch": torch.__version__}, []
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        machine["card"] = NOT_MEASURED
    else:
        device = torch.device(options.device)
        machine["card"] = (
            torch.cuda.get_device_name(device) if device.type == "cuda" else "none: the processor stands in for it"
        )
        for section in checked(device, QUICK if options.quick else Sizes(), options.minutes):
            sections.append(section)
            print(
                f"{section.title}: {'; '.join(section.problems) or 'all equal'} ({section.seconds} s)",
                file=sys.stderr,
                flush=True,
            )
    options.output.mkdir(parents=True, exist_ok=True)
    whole = {"machine": machine, "sections": [asdict(section) for section in sections]}
    (options.output / "gpu_check.json").write_text(json.dumps(whole, indent=2), encoding="utf-8")
    text = report(machine, sections)
    (options.output / "gpu_check.md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(section.problems for section in sections) else 0


@torch.no_grad()
def _compared(
    variant: str,
    kernel: int,
    patch: int,
    dtype: torch.dtype,
    device: torch.device,
    repeats: int,
    compiled: bool,
    problems: list[str],
) -> list[dict]:
    """A row for every runner of one network; what is not equal is added to the problems."""
    torch.manual_seed(0)
    network = build_mednext(variant, kernel, 1, CLASSES).eval().requires_grad_(False)
    x = torch.randn(1, 1, patch, patch, patch, generator=torch.Generator().manual_seed(patch)).to(device)
    with torch.backends.cudnn.flags(allow_tf32=False):
        exact = PlainRunner(network, device, torch.float32)(x)
    runners = runners_of(network, device, dtype, compiled)
    name, kind = f"{variant} k{kernel}", str(dtype).removeprefix("torch.")
    if device.type == "cuda" and "engine" not in runners:
        problems.append(f"{name} {kind}: the engine refused to run")
    rows, answers = [], {}
    for runner, run in runners.items():
        answers[runner] = run(x).float()
        error = float((answers[runner] - exact).abs().max() / exact.abs().max())
        agreement = float((answers[runner].argmax(1) == exact.argmax(1)).float().mean())
        taken = median([_seconds(lambda run=run: run(x), device) for _ in range(repeats + 3)][3:])
        rows.append(
            {"network": name, "type": kind, "runner": runner, "ms": round(1000 * taken, 3), "error": f"{error:.1e}",
             "labels equal": f"{100 * agreement:.3f} %"}
        )  # fmt: skip
        if runner.startswith("engine") and (error > _MOST_ERROR[dtype] or agreement < _LEAST_AGREEMENT[dtype]):
            problems.append(f"{name} {kind}, {runner}: off by {error:.1e}, labels equal in {100 * agreement:.2f} %")
    if "engine" in answers and not torch.equal(answers["engine"], answers["engine, no graph"]):
        problems.append(f"{name} {kind}: the replayed graph differs from the engine")
    return rows


def _seconds(run: Callable[[], Tensor | None], device: torch.device) -> float:
    """Of one call, until the card is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _milliseconds_of(seconds: dict[str, float]) -> dict[str, float]:
    return {f"{name}, ms": round(1000 * taken, 2) for name, taken in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
