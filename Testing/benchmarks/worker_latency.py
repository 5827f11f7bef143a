"""How long the worker process keeps one waiting: its start, the first run, a warm run, and clicks."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "engine"))
from worker_process import WORKER, WorkerByHand

from mednextseg.geometry import Geometry
from mednextseg.refine import Prompts, load_prompter

_CLICKS = 20


def worker_latency(model_folder: Path, volume_kji: np.ndarray, geometry: Geometry) -> dict[str, float]:
    """Seconds by what is waited for; the volume and the model's weights are small, so that the process's own part shows."""
    seconds, start = {}, time.perf_counter()
    worker = WorkerByHand(WORKER, {"OMP_NUM_THREADS": "2"})
    try:
        seconds["start of the worker"] = time.perf_counter() - start
        start = time.perf_counter()
        worker.ask("open_volume", volume="ct", array=worker.arrays.write(volume_kji), ijk_to_ras=geometry.ijk_to_ras.tolist())
        seconds["hand over the volume"] = time.perf_counter() - start
        for name in ("first run", "warm run"):
            start = time.perf_counter()
            answer = worker.ask("segment", volumes=["ct"], model=str(model_folder), device="cpu")
            seconds[name] = time.perf_counter() - start
            if answer["event"] != "result":
                raise RuntimeError(f"the worker answered {answer}")
            worker.arrays.take(answer["value"]["labelmap"])
    finally:
        worker.close()
    return seconds | _prompt_latency(volume_kji[len(volume_kji) // 2], geometry.spacing_kji_mm[1:])


def _prompt_latency(slice_rc: np.ndarray, spacing_rc_mm: tuple[float, float]) -> dict[str, float]:
    """Median seconds of one more click of the random walker on a slice that is encoded."""
    prompter = load_prompter("random_walker")
    start = time.perf_counter()
    embedding = prompter.encode(slice_rc.astype(np.float32), spacing_rc_mm)
    encode_seconds = time.perf_counter() - start
    generator, times = np.random.default_rng(0), []
    for count in range(1, _CLICKS + 1):
        points = generator.uniform(0.2, 0.8, (count, 2)) * slice_rc.shape
        start = time.perf_counter()
        prompter.predict(embedding, Prompts(points, np.arange(count) % 2 == 0))
        times.append(time.perf_counter() - start)
    return {"encode a slice (random walker)": encode_seconds, "one more click (random walker)": statistics.median(times)}
