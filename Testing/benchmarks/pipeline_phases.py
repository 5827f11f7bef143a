"""Everything but the network, phase by phase, on a CT of 512 x 512 x 300 voxels with 25 classes.

    python Testing/benchmarks/pipeline_phases.py [--quick] [--output FILE]

The network is replaced by bands of smoothed intensity. Two of them run beside the rest, so the phases hold waiting for them; what the rest
costs apart from them are its seconds of the processor, of which two cores hide half at the best. Reads and writes real files.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from benchmark_cases import class_bands, ct_like, package
from peak_memory import with_peak

from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.models.loaded_model import LoadedModel
from mednextseg.networks.mednext import build_mednext
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segmentation_io import write_segmentation
from mednextseg.volume_io import image_of, read_volume, write_image

CLASSES = 25
SHAPE_KJI, SPACING_KJI_MM, PATCH_KJI = (300, 512, 512), (1.25, 0.703125, 0.703125), (128, 128, 128)
QUICK_SHAPE_KJI, QUICK_PATCH_KJI = (100, 200, 200), (64, 64, 64)


def measure(folder: Path, shape_kji: tuple[int, int, int], patch_kji: tuple[int, int, int]) -> dict:
    """Seconds of every phase and bytes above the input of one case that is read from and written to `folder`."""
    write_image(image_of(*ct_like(shape_kji, SPACING_KJI_MM)), folder / "ct.nii.gz")
    model = package(folder / "model", build_mednext("S", 3, 1, CLASSES), patch_kji)
    assert model.network_config.num_classes == CLASSES  # reads the weights now: they are no part of what is measured
    bands = _Timed(class_bands(CLASSES))
    LoadedModel.network_loaders = lambda self, device, precision: [lambda: bands]
    seconds, start, processor_start = {}, time.perf_counter(), time.process_time()
    volume_kji, geometry = read_volume(folder / "ct.nii.gz")
    seconds["read"] = time.perf_counter() - start
    (labelmap_kji, report), peak_bytes = with_peak(lambda: segment(volume_kji, geometry, model))
    seconds |= report.seconds_by_phase
    start = time.perf_counter()
    write_segmentation(folder / "labels.seg.nrrd", labelmap_kji, geometry, model.card.labels)
    seconds["write"] = time.perf_counter() - start
    processor_seconds = time.process_time() - processor_start - sum(bands.seconds)
    rest = sum(spent for phase, spent in seconds.items() if phase != "network")
    return {
        "shape_kji": shape_kji,
        "spacing_kji_mm": SPACING_KJI_MM,
        "patch_kji": patch_kji,
        "classes": CLASSES,
        "windows": report.windows.full,
        "seconds": {phase: round(spent, 3) for phase, spent in seconds.items()},
        "seconds_without_network": round(rest, 3),
        "processor_seconds_without_network": round(processor_seconds, 3),
        "peak_bytes_above_input": peak_bytes,
    }


class _Timed(torch.nn.Module):
    """A stand-in for the network that keeps the processor's seconds of each call, of the thread that runs it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self._network, self.seconds = network, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        start = time.thread_time()
        values = self._network(x)
        self.seconds.append(time.thread_time() - start)
        return values


def table(result: dict) -> str:
    """The result as a table in markdown."""
    lines = ["| phase | seconds |", "|---|---|"]
    lines += [f"| {phase} | {spent:.2f} |" for phase, spent in result["seconds"].items() if phase != "network"]
    lines.append(f"| **everything but the network** | **{result['seconds_without_network']:.2f}** |")
    lines.append(f"\nSeconds of the processor, without the network: {result['processor_seconds_without_network']:.1f}")
    if result["peak_bytes_above_input"] is not None:
        lines.append(f"\nPeak memory above the input: {result['peak_bytes_above_input'] / 1e9:.2f} GB")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small volume")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        sizes = (QUICK_SHAPE_KJI, QUICK_PATCH_KJI) if options.quick else (SHAPE_KJI, PATCH_KJI)
        result = measure(Path(folder), *sizes)
    print(table(result))
    if options.output:
        options.output.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
