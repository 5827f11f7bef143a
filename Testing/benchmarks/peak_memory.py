"""The peak of a process's memory during one call (Linux)."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mednextseg.kernels.allocator import release_freed_memory

Result = TypeVar("Result")


def with_peak(call: Callable[[], Result]) -> tuple[Result, int | None]:
    """Run a call; returns its result and by how many bytes resident memory peaked above its level before (None elsewhere)."""
    release_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before = resident_bytes("VmRSS")
    except OSError:
        return call(), None
    result = call()
    return result, resident_bytes("VmHWM") - before


def resident_bytes(field: str = "VmRSS") -> int:
    """VmRSS (now) or VmHWM (highest) of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
