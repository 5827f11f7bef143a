"""The environment report: sent with the worker's hello, and on request after an installation or to see free memory change."""

import platform
from importlib import metadata
from importlib.util import find_spec

import mednextseg
from mednextseg.machine import devices, import_torch, thread_count
from mednextseg.worker.operations import Context, Operation, required
from mednextseg.worker.protocol import PROTOCOL_VERSION

# Package name -> what it is needed for.
PACKAGES = {
    "torch": "networks",
    "numpy": "arrays",
    "scipy": "resampling and clean-up",
    "SimpleITK": "reading and writing files",
    "safetensors": "reading weights",
    "tqdm": "the command line",
    "monai": "distances between surfaces, training",
    "matplotlib": "figures of reports",
}


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


def report_environment(parameters: dict, context: Context) -> dict:
    """{} -> the report that the hello carries, made anew."""
    required(parameters, [])
    return environment_report()


def _version(package: str) -> str | None:
    """The installed version, "unknown" for a package without metadata, None where it is absent."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown" if find_spec(package) else None


OPERATIONS: dict[str, Operation] = {"environment": report_environment}
