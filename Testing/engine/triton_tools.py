"""Where the tests of the Triton kernels run: on a graphics card if there is one, else in Triton's interpreter on the processor.

Take Triton from here: the variable must be set before it is imported, because it compiles functions of its own.
"""

import os

import pytest
import scipy.special
import torch
from torch import Tensor, nn

INTERPRETED = not torch.cuda.is_available()
if INTERPRETED:
    os.environ["TRITON_INTERPRET"] = "1"
triton = pytest.importorskip("triton", reason="Triton is not installed; it exists for Linux only")
tl = triton.language
if INTERPRETED:  # it takes one number after the other, a third of the time of a network's tests
    triton.runtime.interpreter.np_erf_fp32 = scipy.special.erf

from mednextseg.kernels.cuda.rows import BatchRows  # noqa: E402

DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
# The plain networks that the kernels are compared with shall not round to ten bits.
torch.backends.cudnn.allow_tf32 = False


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal numbers on the device, the same on every machine."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def packed(volume: Tensor, dtype: torch.dtype = torch.float32) -> BatchRows:
    """(N, C, K, J, I) -> rows."""
    return BatchRows(volume.flatten(2).transpose(1, 2).to(dtype).contiguous(), tuple(volume.shape[2:]))


def unpacked(rows: BatchRows) -> Tensor:
    """Rows -> (N, C, K, J, I)."""
    samples, _, channels = rows.values.shape
    return rows.values.transpose(1, 2).reshape(samples, channels, *rows.grid_kji)


def trained(module: nn.Module) -> nn.Module:
    """With parameters as after training: PyTorch starts norms as the identity, which would hide mistakes."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "norm" in name or "grn" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.to(DEVICE).eval()
