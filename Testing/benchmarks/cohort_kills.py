"""Many small cases through Ray on this machine while some of its workers are killed: every output must be that of a plain run.

    PYTHONPATH=Testing/engine python Testing/benchmarks/cohort_kills.py [--cases 200] [--kills 3] [--workers 2]

Prints one JSON object: outputs that are right, workers killed, seconds of both runs, and processor seconds of the plain one.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from tiny_models import tiny_mednext, write_package

from mednextseg.cli import main
from mednextseg.geometry import Geometry
from mednextseg.segmentation_io import read_segmentation
from mednextseg.volume_io import image_of, write_image

SHAPE_KJI = (16, 16, 20)  # one window of the tiny network


def make_cases(folder: Path, count: int) -> list[str]:
    """Volumes of noise, each with labels of its own."""
    folder.mkdir()
    names = [f"case{number:03d}" for number in range(count)]
    for number, name in enumerate(names):
        voxels = np.random.default_rng(number).normal(size=SHAPE_KJI).astype(np.float32)
        write_image(image_of(voxels, Geometry(SHAPE_KJI, np.eye(4))), folder / f"{name}.nii.gz")
    return names


def workers_at_work() -> list[int]:
    """Processes of actors that descend from this one (Linux)."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_text()
    found = []
    for process, title in titles.items():
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if title.startswith("ray::CaseActor.run") and ancestor == os.getpid():
            found.append(process)
    return found


def kill_some(output: Path, cases: int, kills: int, killed: list[int]) -> None:
    """Kill a worker that works each time another part of the outputs is there."""
    for number in range(kills):
        while len(list(output.glob("*.seg.nrrd"))) < (number + 1) * cases // (kills + 1) or not (working := workers_at_work()):
            time.sleep(0.2)
        os.kill(working[0], signal.SIGKILL)
        killed.append(working[0])


def timed(arguments: list[str]) -> tuple[int, float, float]:
    """Exit status, seconds, and processor seconds of a command here and in the processes that it ended."""
    started, before = time.monotonic(), _processor_seconds()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        status = main(arguments)
    return status, time.monotonic() - started, _processor_seconds() - before


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def run(count: int, kills: int, workers: int, folder: Path) -> dict:
    """Both runs, and how they compare."""
    names, model = make_cases(folder / "in", count), write_package(folder / "model", tiny_mednext(), ("left", "right"))
    common = ["segment", str(folder / "in"), "--model", str(model), "-o"]
    status_plain, plain, plain_cpu = timed([*common, str(folder / "plain")])
    killed: list[int] = []
    (folder / "ray").mkdir()
    killer = threading.Thread(target=kill_some, args=(folder / "ray", count, kills, killed), daemon=True)
    killer.start()
    status_ray, spread, _ = timed([*common, str(folder / "ray"), "--ray", "--workers", str(workers)])
    right = sum(
        np.array_equal(*(read_segmentation(folder / way / f"{name}.seg.nrrd").labelmap_kji for way in ("plain", "ray")))
        for name in names
        if (folder / "ray" / f"{name}.seg.nrrd").is_file()
    )
    return {
        "cases": count, "right": right, "killed": len(killed), "status": [status_plain, status_ray],
        "seconds_plain": round(plain, 1), "seconds_ray": round(spread, 1), "processor_seconds_plain": round(plain_cpu, 1),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for option, usual in (("--cases", 200), ("--kills", 3), ("--workers", 2)):
        parser.add_argument(option, type=int, default=usual)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(run(chosen.cases, chosen.kills, chosen.workers, Path(scratch))))
