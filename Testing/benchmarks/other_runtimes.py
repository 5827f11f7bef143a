"""This engine beside OpenVINO, ONNX Runtime, torch.compile and MONAI: seconds a window, quiet and beside busy cores, and the peak.

    pip install --no-deps --target build/bench -r requirements-bench.txt
    PYTHONPATH=build/bench python Testing/benchmarks/other_runtimes.py [--busy 1] [--windows 4] [--repeats 5]

MedNeXt-S k3 with random weights; all have the same weights and windows, and take turns. OpenVINO and ONNX Runtime run as they do best:
both with one window on all threads and with a window a thread. bfloat16 where the processor has it. Runners whose package or compiler is
missing are left out with a line. torch.compile takes minutes before it starts.
"""

import argparse
import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from machine_load import LoadMeter
from network_benchmark import monai_twin
from torch import Tensor, nn

from mednextseg.kernels import accelerate
from mednextseg.kernels.allocator import keep_freed_memory
from mednextseg.kernels.precision import computes_in_bfloat16
from mednextseg.machine import processor_name, thread_count
from mednextseg.networks.forward_cost import multiply_adds
from mednextseg.networks.mednext import MedNeXt, build_mednext
from mednextseg.segment.windows.runners import WindowRunners

CLASSES = 3
_PEAK_SIZE = 2048
# A run over several windows: takes them, returns the values of the last one.
Run = Callable[[list[Tensor]], np.ndarray]


def ours(network: MedNeXt, threads: int) -> Iterator[tuple[str, Run]]:
    """This engine, as it runs (a window a thread) and with one window on all threads."""
    for name, dtype in list({"float32": torch.float32, "bfloat16": torch.bfloat16}.items())[: 1 + computes_in_bfloat16()]:
        fast = accelerate(network, dtype=dtype)
        for how, runners in (("a window a thread", threads), ("one window on all threads", 1)):
            yield f"ours, {name}, {how}", partial(_with_runners, fast, runners)


def plain(network: MedNeXt, x: Tensor) -> Iterator[tuple[str, Run]]:
    """MONAI's network, as it is and compiled."""
    twin = monai_twin(network)
    yield "MONAI, float32", partial(_one_by_one, twin)
    compiled = torch.compile(twin)
    try:
        with torch.inference_mode():
            compiled(x)
    except (RuntimeError, OSError, TypeError) as error:  # a compiler that is missing, or does not take the network
        print(f"torch.compile is left out: {str(error).splitlines()[0]}")
    else:
        yield "torch.compile, float32", partial(_one_by_one, compiled)


def openvino(network: nn.Module, x: Tensor, threads: int) -> Iterator[tuple[str, Run]]:
    """OpenVINO in both precisions, with one stream and with a stream a thread."""
    try:
        import openvino as ov
    except ImportError as error:
        print(f"OpenVINO is left out: {error}")
        return
    model = ov.convert_model(network, example_input=x)
    model.reshape(list(x.shape))
    for precision in ("f32", "bf16")[: 1 + computes_in_bfloat16()]:
        for how, streams in (("a window a thread", threads), ("one window on all threads", 1)):
            options = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": threads}
            queue = ov.AsyncInferQueue(ov.Core().compile_model(model, "CPU", options), streams)
            yield f"OpenVINO, {precision}, {how}", partial(_queued, queue)


def onnx_runtime(network: nn.Module, x: Tensor, threads: int) -> Iterator[tuple[str, Run]]:
    """ONNX Runtime, with one window on all threads and with a window a thread."""
    try:
        import onnxruntime
    except ImportError as error:
        print(f"ONNX Runtime is left out: {error}")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(network, (x,), path, dynamo=True)
        for how, at_once in (("a window a thread", threads), ("one window on all threads", 1)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads // at_once
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            yield f"ONNX Runtime, float32, {how}", partial(_sessions, session, at_once)


def _with_runners(fast: nn.Module, runners: int, windows: list[Tensor]) -> np.ndarray:
    with WindowRunners(runners, lambda: None) as at_work, torch.inference_mode():
        return [*at_work.in_order([partial(_inferred, fast, x) for x in windows])][-1].float().numpy()


def _inferred(network: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(x)


def _one_by_one(network: nn.Module, windows: list[Tensor]) -> np.ndarray:
    return [_inferred(network, x) for x in windows][-1].numpy()


def _queued(queue: object, windows: list[Tensor]) -> np.ndarray:
    values: list[np.ndarray] = [np.empty(0)] * len(windows)

    def keep(request: object, number: int) -> None:
        values[number] = request.get_output_tensor(0).data.copy()

    queue.set_callback(keep)
    for number, x in enumerate(windows):
        queue.start_async([x.numpy()], number)
    queue.wait_all()
    return values[-1]


def _sessions(session: object, at_once: int, windows: list[Tensor]) -> np.ndarray:
    name = session.get_inputs()[0].name
    with ThreadPoolExecutor(at_once) as pool:
        return [*pool.map(lambda x: session.run(None, {name: x.numpy()})[0], windows)][-1]


def peak_gflops() -> float:
    """Billions of floating-point operations a second of a product of large square matrices, float32, all threads; the best of ten."""
    a, b = torch.randn(2, _PEAK_SIZE, _PEAK_SIZE)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * _PEAK_SIZE**3 / best / 1e9


def measured(runs: dict[str, Run], windows: list[Tensor], repeats: int) -> dict[str, tuple[float, float, float]]:
    """(wall, processor seconds a window, cores that others took as a share of all) of every run: medians of turns."""
    meter, taken = LoadMeter(), {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            taken[name].append(meter.measure(partial(run, windows)))
    n = len(windows)
    columns = {name: [median(column) for column in zip(*samples, strict=True)] for name, samples in taken.items()}
    return {name: (wall / n, processor / n, load) for name, (wall, processor, load) in columns.items()}


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Other programs that each keep one core busy."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def table(
    rows: dict[str, tuple[float, float, float]], differences: dict[str, float], gflop: float, peak: float
) -> Iterator[str]:
    """Lines of markdown; ratios are to the first row."""
    first = next(iter(rows.values()))[0]
    yield "| runner | s a window | times ours | share of the peak | processor s | others' load | largest relative difference |"
    yield "|---|---|---|---|---|---|---|"
    for name, (wall, processor, load) in rows.items():
        share = f"{gflop / wall / peak:.0%}"
        yield f"| {name} | {wall:.3f} | {wall / first:.2f} | {share} | {processor:.3f} | {load:.0%} | {differences[name]:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="measure again beside so many programs that each keep a core busy")
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    keep_freed_memory()
    threads = thread_count()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build_mednext("S", 3, 1, CLASSES).eval().requires_grad_(False)
    size = (1, 1, *(options.patch,) * 3)
    windows = [torch.randn(size) for _ in range(options.windows)]
    others = (plain(network, windows[0]), openvino(network, windows[0], threads), onnx_runtime(network, windows[0], threads))
    runs = dict(run for runners in (ours(network, threads), *others) for run in runners)
    values = {name: run(windows) for name, run in runs.items()}  # the first call also warms up
    expected = values["MONAI, float32"]
    differences = {name: float(np.abs(v - expected).max() / np.abs(expected).max()) for name, v in values.items()}
    peak, gflop = peak_gflops(), 2 * multiply_adds(lambda: build_mednext("S", 3, 1, CLASSES), size) / 1e9
    print(f"{processor_name()}, {threads} threads, torch {torch.__version__}, S k3 {options.patch}^3")
    print(f"{gflop:.1f} GFLOP a window; a product of {_PEAK_SIZE} x {_PEAK_SIZE} matrices reaches {peak:.0f} GFLOP/s")
    for programs in sorted({0, options.busy}):
        with busy_cores(programs):
            rows = measured(runs, windows, options.repeats)
        print(f"\nBusy programs beside it: {programs}\n")
        print("\n".join(table(rows, differences, gflop, peak)), flush=True)


if __name__ == "__main__":
    main()
