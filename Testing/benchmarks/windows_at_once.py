"""Windows at once, one thread each, against one window on all threads: seconds a window, quiet and beside one busy core.

python Testing/benchmarks/windows_at_once.py [--busy 1] [--patch 64] [--windows 8] [--repeats 5]
"""

import argparse
import subprocess
import sys
import time
from functools import partial
from statistics import median

import numpy as np
import torch

from mednextseg.kernels import accelerate
from mednextseg.machine import processor_name, thread_count
from mednextseg.networks.mednext import build_mednext
from mednextseg.segment.windows.runners import WindowRunners


def seconds_a_window(engine: object, x: torch.Tensor, windows: int, runners: int) -> float:
    """Of a run of this many windows."""
    start = time.perf_counter()
    with WindowRunners(runners, lambda: None) as at_work:
        for _ in at_work.in_order([partial(engine, x)] * windows):
            pass
    return (time.perf_counter() - start) / windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="other programs that each keep one core busy")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    threads = thread_count()
    torch.set_num_threads(threads)
    engine = accelerate(build_mednext("S", 3, 1, 2))
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, *(options.patch,) * 3)).astype(np.float32))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        # In turns, so that whatever else the machine does meets both.
        pairs = [
            [seconds_a_window(engine, x, options.windows, runners) for runners in (1, threads)] for _ in range(options.repeats)
        ]
    finally:
        for program in busy:
            program.kill()
            program.wait()
    together, apart = (median(column) for column in zip(*pairs, strict=True))
    print(
        f"{processor_name()}, {threads} threads, torch {torch.__version__}, S k3 {options.patch}^3, {options.busy} other program(s)"
    )
    print(
        f"one window on all threads: {together:.3f} s a window; a thread a window: {apart:.3f} s; ratio {together / apart:.2f}"
    )


if __name__ == "__main__":
    main()
