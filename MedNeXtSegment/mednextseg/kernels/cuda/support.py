"""Whether the Triton engine can be used on a graphics card here: asked once, by running it. Importing this imports no Triton.

Triton is missing on Windows and macOS, needs a C compiler at its first run, and supports cards from compute capability 8.0 (RTX
30, A100). Rather than to guess, the engine computes a small patch and its result is compared with the plain network's.
"""

import importlib.util
import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mednextseg.kernels.cpu.engine import is_supported
from mednextseg.kernels.verification import relative_error
from mednextseg.networks.mednext import SIZE_DIVISOR, GlobalResponseNorm

_LOWEST_CAPABILITY = (8, 0)
_GRID = (SIZE_DIVISOR, SIZE_DIVISOR, 2 * SIZE_DIVISOR)
_LARGEST_ERROR = {torch.float32: 1e-4, torch.float16: 0.01, torch.bfloat16: 0.05}  # root mean square, relative

_log = logging.getLogger(__name__)


def verified_engine(module: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor] | None:
    """The Triton engine for a network, or None where it does not apply, cannot run or is wrong; the log says why.

    Args:
        module: any network. device: a CUDA device. dtype: of the computation.
    """
    if not is_supported(module, also=GlobalResponseNorm) or len(module.plug_ins):
        return None
    if reason := _missing(device):
        _log.warning("The network runs on plain PyTorch: %s.", reason)
        return None
    try:
        from mednextseg.kernels.cuda.engine import CudaEngine  # noqa: PLC0415  (Triton is an optional package)

        engine = CudaEngine(module, device, dtype)
        error = relative_error(engine, module, _GRID)
    except torch.cuda.OutOfMemoryError:
        raise  # a smaller batch or the processor is the answer, not another way to need as much
    except Exception as problem:  # whatever a compiler, driver or linker on an unknown machine raises
        _log.warning("The network runs on plain PyTorch: Triton failed with %s: %s.", type(problem).__name__, problem)
        return None
    if not error <= _LARGEST_ERROR[dtype]:
        _log.warning("The network runs on plain PyTorch: Triton's result on this card is off by %.1e.", error)
        return None
    return engine


def _missing(device: torch.device) -> str:
    """What the machine lacks; empty if nothing."""
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if torch.version.hip is not None:
        return "the kernels were written for NVIDIA cards"
    capability = torch.cuda.get_device_capability(device)
    if capability < _LOWEST_CAPABILITY:
        return f"the card has compute capability {capability[0]}.{capability[1]}, Triton needs 8.0"
    return ""
