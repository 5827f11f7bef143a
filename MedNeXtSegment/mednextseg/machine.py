"""What this machine offers: devices, threads, memory, a home folder. Light: torch is imported only by those who ask for devices."""

import os
import platform
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType

HOME_VARIABLE = "MEDNEXTSEG_HOME"
_MINIMUM_CORES_TO_SPARE_ONE = 4
_LOW_PRIORITY = 10  # of Unix
_BELOW_NORMAL_PRIORITY_CLASS, _THREAD_PRIORITY_BELOW_NORMAL = 0x4000, -1  # of Windows


def import_torch() -> tuple[ModuleType | None, str]:
    """torch and "", or None and one sentence that says why it cannot be used."""
    try:
        return import_module("torch"), ""
    except (ImportError, OSError) as error:  # OSError: a library that torch needs is missing or of another kind
        return None, f"PyTorch cannot be imported ({error})."


def home_folder() -> Path:
    """Where installed models and remembered measurements lie: $MEDNEXTSEG_HOME, or .mednextseg in the user's home folder."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".mednextseg")


def devices(torch: ModuleType) -> list[dict]:
    """Every device that can run a network: "id" for requests, "name" for people, "memory_bytes" in all (None where unknown)."""
    found = []
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append({"id": f"cuda:{number}", "name": properties.name, "memory_bytes": properties.total_memory})
    if torch.backends.mps.is_available():
        found.append({"id": "mps", "name": f"{processor_name()} (Metal)", "memory_bytes": _memory_bytes()})
    found.append({"id": "cpu", "name": f"{processor_name()} ({_cores()} cores)", "memory_bytes": _memory_bytes()})
    return found


def resolve_device(device: str) -> str:
    """The torch device to run on; "auto" takes the first graphics card of NVIDIA, else the processor.

    Raises:
        ValueError: for a device that this machine does not have.
    """
    torch, _ = import_torch()
    cards = [] if torch is None else [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if device == "auto":
        return cards[0] if cards else "cpu"
    allowed = ["cpu", *cards, *(["mps"] if torch is not None and torch.backends.mps.is_available() else [])]
    if device not in allowed:
        raise ValueError(f"this machine has no device {device!r}; it has: auto, {', '.join(allowed)}.")
    return device


def thread_count() -> int:
    """Threads for one network: those of OMP_NUM_THREADS where it is set, else the cores, less one for Slicer where there are many."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = _cores()
    return cores - 1 if cores >= _MINIMUM_CORES_TO_SPARE_ONE else cores


def processor_name() -> str:
    """The processor as its maker calls it, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory_mb() -> float | None:
    """The most main memory this process has held so far; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: unlike ru_maxrss, this does not count what the parent held before the process was started
        line = next(
            line for line in status.read_text(encoding="ascii", errors="replace").splitlines() if line.startswith("VmHWM")
        )
        return int(line.split()[1]) / 1024
    if sys.platform == "darwin":
        import resource  # noqa: PLC0415  (not on Windows)

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return None


def lower_priority() -> None:
    """Let this process give way to others from now on; done once, it stays so. Does nothing where the system has no such thing."""
    if hasattr(os, "nice") and os.nice(0) < _LOW_PRIORITY:
        os.nice(_LOW_PRIORITY - os.nice(0))
    elif sys.platform == "win32":
        import ctypes  # noqa: PLC0415  (with these names on Windows only)

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL_PRIORITY_CLASS)


def lower_thread_priority() -> None:
    """Let the calling thread give way to others of this process, and to other programs. Does nothing on macOS, which has no such thing."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(_LOW_PRIORITY, os.getpriority(os.PRIO_PROCESS, thread)))
    elif sys.platform == "win32":
        import ctypes  # noqa: PLC0415  (with these names on Windows only)

        kernel = ctypes.windll.kernel32
        kernel.SetThreadPriority(kernel.GetCurrentThread(), _THREAD_PRIORITY_BELOW_NORMAL)


def _cores() -> int:
    """Cores that this process may use, two hardware threads counted as one where the system says so."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, _physical_cores() or allowed)


def _physical_cores() -> int | None:
    """On Linux, from the kernel; None elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            blocks = stream.read().split("\n\n")
    except OSError:
        return None
    cores = set()
    for block in blocks:
        fields = dict(line.replace("\t", "").split(":", 1) for line in block.splitlines() if ":" in line)
        if "core id" in fields:
            cores.add((fields.get("physical id"), fields["core id"]))
    return len(cores) or None


def _memory_bytes() -> int | None:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
