"""A fixed slice of `make fuzz`: broken and random inputs of every kind give the exact answer or one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(os.name != "posix", reason="limits files and ends processes")
def test_the_fixed_slice_finds_nothing() -> None:
    paths = [ROOT / "MedNeXtSegment", ROOT / "Testing", ROOT / "Testing" / "engine"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "fuzz", "--slice"],
        capture_output=True,
        text=True,
        env=variables,
        cwd=ROOT,
        timeout=900,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "geometries" in found.stdout
