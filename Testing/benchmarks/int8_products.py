"""Whether 8-bit products would make windows faster: the products of a MedNeXt in float32, and in PyTorch's 8-bit kernels.

    python Testing/benchmarks/int8_products.py [--engine x86]

Milliseconds of one thread of the processor, medians. "ready" has its input in 8 bits already, which no layer of this network has: around
each product lie a GELU, a normalization or a sum. "whole" takes and gives float32. Accuracy is not looked at.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional as F

# Voxels, channels in and out: the MLPs of S k3 at 64^3 from the full grid to the deepest one.
PRODUCTS = ((64**3, 32, 64), (64**3, 64, 32), (32**3, 64, 192), (16**3, 128, 512), (8**3, 256, 1024))
_TURNS = 7


def milliseconds(run: Callable[[], object]) -> float:
    """Median of the calling thread's time on the processor, after one call to warm up."""
    taken = []
    for _ in range(_TURNS + 1):
        start = time.thread_time()
        run()
        taken.append(1000 * (time.thread_time() - start))
    return median(taken[1:])


def row(voxels: int, channels_in: int, channels_out: int) -> tuple[float, float, float]:
    """float32, ready, whole."""
    x = torch.randn(voxels, channels_in)
    weights, bias = torch.randn(channels_out, channels_in) / channels_in**0.5, torch.randn(channels_out)
    scales, zeros = (weights.abs().amax(1) / 127).double(), torch.zeros(channels_out, dtype=torch.long)
    packed = torch.ops.quantized.linear_prepack(torch.quantize_per_channel(weights, scales, zeros, 0, torch.qint8), bias)
    scale_in, scale_out = float(x.abs().max() / 63), float(F.linear(x, weights, bias).abs().max() / 63)

    def eight_bits() -> torch.Tensor:
        return torch.quantize_per_tensor(x, scale_in, 64, torch.quint8)

    ready = eight_bits()
    return (
        milliseconds(lambda: F.linear(x, weights, bias)),
        milliseconds(lambda: torch.ops.quantized.linear(ready, packed, scale_out, 64)),
        milliseconds(lambda: torch.ops.quantized.linear(eight_bits(), packed, scale_out, 64).dequantize()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="x86", help=f"one of {', '.join(torch.backends.quantized.supported_engines)}")
    torch.backends.quantized.engine = parser.parse_args().engine
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message=".*deprecated")
    print("| voxels | channels | float32, ms | 8 bits, ready | 8 bits, whole |\n|---|---|---|---|---|", flush=True)
    for product in PRODUCTS:
        plain, ready, whole = row(*product)
        print(
            f"| {product[0]} | {product[1]} to {product[2]} | {plain:.1f} | {ready:.1f} ({plain / ready:.2f}x) "
            f"| {whole:.1f} ({plain / whole:.2f}x) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
