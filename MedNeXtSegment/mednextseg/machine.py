"""What this Python and this machine offer: packages, devices, memory, threads."""

import os
import platform
from importlib import import_module, metadata
from importlib.util import find_spec
from types import ModuleType

import mednextseg
from mednextseg.worker.protocol import PROTOCOL_VERSION

# Package name -> what it is needed for.
PACKAGES = {
    "torch": "networks",
    "numpy": "arrays",
    "scipy": "resampling and clean-up",
    "SimpleITK": "reading and writing files",
    "safetensors": "reading weights",
    "tqdm": "the command line",
}
_MINIMUM_CORES_TO_SPARE_ONE = 4


def import_torch() -> tuple[ModuleType | None, str]:
    """torch and "", or None and one sentence that says why it cannot be used."""
    try:
        return import_module("torch"), ""
    except (ImportError, OSError) as error:  # OSError: a library that torch needs is missing or of another kind
        return None, f"PyTorch cannot be imported ({error})."


def environment_report() -> dict:
    """JSON values: versions, devices, what is missing; the body of the worker's hello."""
    torch, problem = import_torch()
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "protocol_version": PROTOCOL_VERSION,
        "engine_version": mednextseg.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "missing_packages": [name for name, version in versions.items() if version is None],
        "torch": None if torch is None else torch.__version__,
        "torch_problem": problem,
        "devices": [] if torch is None else devices(torch),
        "threads": thread_count() if torch is None else torch.get_num_threads(),
    }


def devices(torch: ModuleType) -> list[dict]:
    """Every device that can run a network: "id" for requests, "name" for people, "memory_bytes" in all (None where unknown)."""
    found = []
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        found.append({"id": f"cuda:{number}", "name": properties.name, "memory_bytes": properties.total_memory})
    if torch.backends.mps.is_available():
        found.append({"id": "mps", "name": f"{_processor_name()} (Metal)", "memory_bytes": _memory_bytes()})
    found.append({"id": "cpu", "name": f"{_processor_name()} ({_cores()} cores)", "memory_bytes": _memory_bytes()})
    return found


def default_device() -> str:
    """What "auto" means: the first graphics card of NVIDIA, else the processor."""
    torch, _ = import_torch()
    return "cuda:0" if torch is not None and torch.cuda.is_available() else "cpu"


def thread_count() -> int:
    """Threads for one network: those of OMP_NUM_THREADS where it is set, else the cores, less one for Slicer where there are many."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = _cores()
    return cores - 1 if cores >= _MINIMUM_CORES_TO_SPARE_ONE else cores


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


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _version(package: str) -> str | None:
    """The installed version, "unknown" for a package without metadata, None where it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown" if find_spec(package) else None
