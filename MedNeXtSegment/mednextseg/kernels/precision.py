"""Single precision or bfloat16 on this processor: measured at the first question, then remembered.

bfloat16 has 8 significant bits. Statistics and sums stay in single precision or better, still the logits differ by about 1 % of
their largest value and with them 0.2-0.6 % of the labels of untrained networks, whose classes are close calls. It is never
chosen unless the caller allows inexact results.
"""

import json
import time
from pathlib import Path
from statistics import median

import torch

from mednextseg.files import write_text
from mednextseg.kernels.cpu.engine import MedNeXtEngine
from mednextseg.machine import home_folder, processor_name
from mednextseg.networks.mednext import build_mednext

WORTHWHILE_SPEEDUP = 1.2
_PATCH_KJI = (32, 32, 32)
_REPEATS = 5


def fastest_dtype(allow_inexact: bool = False) -> torch.dtype:
    """The dtype to give to `accelerate` for the processor.

    Measures MedNeXt-S on a small patch in both types, once for each processor, PyTorch version and thread count (about a
    second), and keeps the seconds in $MEDNEXTSEG_HOME/precision.json.

    Args:
        allow_inexact: whether bfloat16 may be chosen at all.
    Returns:
        torch.bfloat16 where it is allowed, the processor computes in it, and it saves a sixth of the time; else torch.float32.
    """
    if not allow_inexact or not computes_in_bfloat16():
        return torch.float32
    remembered = _read(_memory_file())
    seconds = remembered.get(_machine())
    if seconds is None:
        seconds = {"float32": _seconds(torch.float32), "bfloat16": _seconds(torch.bfloat16)}
        _write(_memory_file(), remembered | {_machine(): seconds})
    return torch.bfloat16 if seconds["float32"] > WORTHWHILE_SPEEDUP * seconds["bfloat16"] else torch.float32


def computes_in_bfloat16() -> bool:
    """Whether the processor has instructions for it; emulated, it is slower than single precision."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # PyTorch before 2.10 cannot tell: then no
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def _seconds(dtype: torch.dtype) -> float:
    engine = MedNeXtEngine(build_mednext("S", 3, 1, 2), dtype)
    x = torch.zeros(1, 1, *_PATCH_KJI)
    engine(x)
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        engine(x)
        times.append(time.perf_counter() - start)
    return median(times)


def _machine() -> str:
    return f"{processor_name()}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def _memory_file() -> Path:
    return home_folder() / "precision.json"


def _read(file: Path) -> dict[str, dict[str, float]]:
    """What was measured before; nothing where the file is missing or damaged, so that it is measured again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {name: {"float32": float(s["float32"]), "bfloat16": float(s["bfloat16"])} for name, s in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(file: Path, content: dict[str, dict[str, float]]) -> None:
    """Remember; a home that cannot be written costs a second at each start and nothing else."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(content, indent=2))
    except OSError:
        return
