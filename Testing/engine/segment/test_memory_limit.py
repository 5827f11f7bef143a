"""A run under a real limit of memory takes other ways and finishes with the same labels."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import tiny_mednext, write_package

LIMITED = """
import json, resource, sys
import numpy as np, torch
from mednextseg import load_model
from mednextseg.geometry import Geometry
from mednextseg.segment.auto_segmenter import segment
from mednextseg.segment.recipe import SegmentRecipe

torch.set_num_threads(1)
model, megabytes, batch_size = load_model(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
volume = np.random.default_rng(0).normal(size=(40, 128, 128)).astype(np.float32)
segment(volume[:16, :16, :32], Geometry((16, 16, 32), np.eye(4)), model)  # what a first run loads is no part of the limit
if megabytes:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)
recipe = SegmentRecipe(batch_size=batch_size, overlap=0.0)
labels, report = segment(volume, Geometry(volume.shape, np.eye(4)), model, recipe=recipe, device="cpu")
print(json.dumps({"sum": int(labels.sum()), "crc": __import__("zlib").crc32(labels), "notes": report.notes}))
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system cannot limit a process's memory")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real network with so many labels that their sums are most of what a run needs: 40 x 32 x 128 x 128 x 4 bytes = 84 MB."""
    labels = tuple(f"label {n}" for n in range(1, 40))
    network = tiny_mednext(num_classes=40)
    return write_package(tmp_path_factory.mktemp("limited") / "many", network, labels, patch_size_kji=[32, 32, 32])


def run(package: Path, megabytes: int, batch_size: int = 1) -> dict:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", LIMITED, str(package), str(megabytes), str(batch_size)]
    finished = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout.splitlines()[-1])


def test_a_limit_leads_down_the_ladder_to_the_same_labels(package: Path) -> None:
    free = run(package, 0, batch_size=4)
    assert free["notes"] == [] and free["sum"] > 0
    limited = run(package, 100, batch_size=4)
    assert ["one window at a time" in limited["notes"][0], "on disk" in limited["notes"][1]] == [True, True]
    assert (limited["sum"], limited["crc"]) == (free["sum"], free["crc"])
