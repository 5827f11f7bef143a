"""1x1x1 convolutions on rows: linear, and linear with the exact (erf) GELU in its epilogue.

oneDNN computes both through `torch.ops.mkldnn._linear_pointwise`, an operator that torch.compile uses and that has no public
name. It is tried once for each dtype; where it is missing or differs from the definition, two ordinary ones take its place.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """rows @ weight.T + bias.

    Args:
        rows: (V, C_in). weight: (C_out, C_in) of the same dtype. bias: (C_out,) or None.
    Returns:
        (V, C_out) of the dtype of the rows.
    """
    if onednn_linear_works(rows.dtype):
        return _onednn_linear(rows, weight, bias, "none")
    return F.linear(rows, weight, None if bias is None else bias.to(rows.dtype))


def linear_gelu(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """gelu(rows @ weight.T + bias) with gelu(x) = x * Phi(x); arguments as for `linear`."""
    if onednn_linear_works(rows.dtype):
        return _onednn_linear(rows, weight, bias, "gelu")
    return F.gelu(F.linear(rows, weight, bias.to(rows.dtype)))


@cache
def onednn_linear_works(dtype: torch.dtype) -> bool:
    """Whether oneDNN's fused operator exists here and agrees with the definition in float64."""
    generator = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(40, 48, generator=generator), torch.randn(24, 48, generator=generator)
    bias = torch.randn(24, generator=generator)
    rows, weight = rows.to(dtype), weight.to(dtype)
    expected = F.linear(rows.double(), weight.double(), bias.double())
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    try:
        plain = _onednn_linear(rows, weight, bias, "none").double()
        activated = _onednn_linear(rows, weight, bias, "gelu").double()
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(plain, expected, rtol=tolerance, atol=tolerance) and torch.allclose(
        activated, F.gelu(expected), rtol=tolerance, atol=tolerance
    )


def _onednn_linear(rows: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, activation, [], "none")
