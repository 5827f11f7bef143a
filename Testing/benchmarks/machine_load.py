"""How much of the machine other programs used while something was measured."""

import os
import time
from collections.abc import Callable
from pathlib import Path

_STAT = Path("/proc/stat")


class LoadMeter:
    """Times calls together with the load by other programs, from the kernel's counters; without /proc the load reads 0."""

    def measure(self, call: Callable[[], object]) -> tuple[float, float, float]:
        """(wall seconds, processor seconds of this process, share of all cores that others used) of one call.

        The counters step by 10 ms, so the share is meaningful for calls of 0.1 s and more.
        """
        busy, cpu, wall = _busy_seconds(), time.process_time(), time.perf_counter()
        call()
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        others_s = max(0.0, _busy_seconds() - busy - cpu_s)
        return wall_s, cpu_s, others_s / (wall_s * (os.cpu_count() or 1))


def _busy_seconds() -> float:
    """Seconds that all cores together have computed since the start of the system, or lost to other virtual machines."""
    if not _STAT.exists():
        return time.process_time()
    user, nice, system, _idle, _iowait, *interrupts = map(int, _STAT.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
