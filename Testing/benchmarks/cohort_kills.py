"""Many small cases through Ray on this machine while workers, or a whole node, are killed: every output must be that of a plain run.

    PYTHONPATH=Testing/engine python Testing/benchmarks/cohort_kills.py [--cases 200] [--kills 3] [--workers 2]
    PYTHONPATH=Testing/engine python Testing/benchmarks/cohort_kills.py --node [--cases 200]

With --node Ray runs as two nodes of one core each, in processes of their own that listen on this computer only, and the one that the
command is not joined to is killed (its raylet, and so its worker) when half of the outputs are there and it works on a case.

Prints one JSON object: outputs that are right, workers or nodes killed, seconds of both runs, processor seconds of the plain one, and how
many cases each worker did.
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
from collections.abc import Callable, Iterator
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


def workers_at_work(ancestor: int) -> list[int]:
    """Processes of actors with a case that descend from another process (Linux)."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_text()
    found = []
    for process, title in titles.items():
        above = process
        while above in parents and above != ancestor:
            above = parents[above]
        if title.startswith("ray::CaseActor.run") and above == ancestor:
            found.append(process)
    return found


def kill_some(output: Path, cases: int, kills: int, killed: list[int]) -> None:
    """Kill a worker that works each time another part of the outputs is there."""
    for number in range(kills):
        working = wait_for_work(output, (number + 1) * cases // (kills + 1), os.getpid())
        os.kill(working[0], signal.SIGKILL)
        killed.append(working[0])


def wait_for_work(output: Path, outputs: int, ancestor: int) -> list[int]:
    """The processes that work below another one, once so many outputs are there."""
    while len(list(output.glob("*.seg.nrrd"))) < outputs or not (working := workers_at_work(ancestor)):
        time.sleep(0.2)
    return working


@contextlib.contextmanager
def two_nodes() -> Iterator[tuple[str, int]]:
    """Ray on two nodes with a core each, as processes on this computer: the address, and the process of the second node's raylet."""
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = (
        "0"  # without it Ray would listen on this computer's address in the network
    )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False, "node_ip_address": "127.0.0.1"}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(**node)
        (raylet,) = second.all_processes["raylet"]
        yield cluster.address, raylet.process.pid
    finally:
        cluster.shutdown()


def timed(arguments: list[str]) -> tuple[int, float, float, str]:
    """Exit status, seconds, processor seconds of a command here and in the processes that it ended, and what it said."""
    started, before, said = time.monotonic(), _processor_seconds(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = main(arguments)
    return status, time.monotonic() - started, _processor_seconds() - before, said.getvalue()


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def run(count: int, folder: Path, options: list[str], kill: Callable[[Path, list[int]], None]) -> dict:
    """Both runs, and how they compare.

    Args:
        options: of the run by Ray.
        kill: called in a thread with its folder of outputs; appends each process that it killed.
    """
    names, model = make_cases(folder / "in", count), write_package(folder / "model", tiny_mednext(), ("left", "right"))
    common = ["segment", str(folder / "in"), "--model", str(model), "-o"]
    status_plain, plain, plain_cpu, _ = timed([*common, str(folder / "plain")])
    killed: list[int] = []
    (folder / "ray").mkdir()
    threading.Thread(target=kill, args=(folder / "ray", killed), daemon=True).start()
    status_ray, spread, _, said = timed([*common, str(folder / "ray"), *options])
    right = sum(
        np.array_equal(*(read_segmentation(folder / way / f"{name}.seg.nrrd").labelmap_kji for way in ("plain", "ray")))
        for name in names
        if (folder / "ray" / f"{name}.seg.nrrd").is_file()
    )
    table = said[said.index("seconds a case") :].splitlines()[1:]
    return {
        "cases": count, "right": right, "killed": len(killed), "status": [status_plain, status_ray],
        "seconds_plain": round(plain, 1), "seconds_ray": round(spread, 1), "processor_seconds_plain": round(plain_cpu, 1),
        "cases_of_each_worker": [int(line.split()[-2]) for line in table],
    }  # fmt: skip


def run_with_workers_killed(count: int, kills: int, workers: int, folder: Path) -> dict:
    """`run` on this computer."""
    options = ["--ray", "--workers", str(workers)]
    return run(count, folder, options, lambda output, killed: kill_some(output, count, kills, killed))


def run_with_a_node_killed(count: int, folder: Path) -> dict:
    """`run` on two nodes."""
    with two_nodes() as (address, raylet):

        def kill(output: Path, killed: list[int]) -> None:
            wait_for_work(output, count // 2, raylet)
            os.kill(raylet, signal.SIGKILL)
            killed.append(raylet)

        return run(count, folder, ["--ray", address, "--workers", "2"], kill)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for option, usual in (("--cases", 200), ("--kills", 3), ("--workers", 2)):
        parser.add_argument(option, type=int, default=usual)
    parser.add_argument("--node", action="store_true", help="kill one of two nodes instead")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if chosen.node:
            print(json.dumps(run_with_a_node_killed(chosen.cases, Path(scratch))))
        else:
            print(json.dumps(run_with_workers_killed(chosen.cases, chosen.kills, chosen.workers, Path(scratch))))
