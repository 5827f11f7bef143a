"""Norm, expansion, GELU and projection of a block, forwards and backwards, in chunks of rows that stay in the cache.

With s = gamma / sqrt(variance + eps), the norm is folded into the expansion: h = W diag(s) y + (b + W beta - W diag(s) mean). The
hidden activation is computed again on the way back, chunk by chunk, so it is never stored as a whole. All that the norm and the
expansion need on the way back follows from two sums over the rows v,

    S = sum_v dh_v y_v^T   (hidden, C)        t = sum_v dh_v   (hidden,)

    d beta = W^T t,   d gamma = (diag(W^T S) - mean * d beta) / sigma,   d W = diag-scaled (S - t mean^T) + t beta^T,   d b = t

and the gradient of a row is W^T dh, scaled, plus an affine function of the row (the norm's own statistics).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mednextseg.kernels.cpu.pointwise import linear, linear_gelu
from mednextseg.kernels.cpu.statistics import channel_statistics

# As in kernels/cpu/block.py: where a channel hardly varies about a large mean, the fold would lose single precision's digits.
LARGEST_FOLDED_MEAN = 16.0
_ROWS_TOGETHER = 32  # rows seen as one for operations by channel, whose inner loops would else be as short as the channels


class MlpParameters(NamedTuple):
    """Of one block, or gradients of them.

    Attributes:
        gamma, beta: (C,), of the norm.
        expand_weight, expand_bias: (hidden, C), (hidden,).
        project_weight, project_bias: (C_out, hidden), (C_out,).
    """

    gamma: Tensor
    beta: Tensor
    expand_weight: Tensor
    expand_bias: Tensor
    project_weight: Tensor
    project_bias: Tensor


class NormalizedMlp:
    """The MLP of a block for the rows of one sample, whose statistics it measures.

    Args:
        parameters: of the block; read only.
        parts: the rows (V_p, C) whose statistics are taken together. Changed in place (their mean is subtracted) where a channel
            hardly varies about its mean; the norm does not see the difference.
        eps: of the norm.
    """

    def __init__(self, parameters: MlpParameters, parts: list[Tensor], eps: float) -> None:
        self.parameters = parameters
        self.rows = sum(part.shape[0] for part in parts)
        mean, variance = channel_statistics(parts)
        if (mean.abs() * torch.rsqrt(variance + eps)).max() > LARGEST_FOLDED_MEAN:
            for part in parts:
                part.sub_(mean.to(part.dtype))
            mean, variance = channel_statistics(parts)
        self.mean, self.inverse_deviation = mean, torch.rsqrt(variance + eps)  # float64
        self._fold(parts[0].dtype)

    @property
    def hidden(self) -> int:
        return self.folded_weight.shape[0]

    def _fold(self, dtype: torch.dtype) -> None:
        p = self.parameters
        expand = p.expand_weight.double()
        self.folded_weight = (expand * (p.gamma.double() * self.inverse_deviation)).to(dtype)  # (hidden, C)
        offset = p.expand_bias.double() + expand @ p.beta.double()
        self.folded_bias = (offset - self.folded_weight.double() @ self.mean).to(dtype)
        self.project_back = p.project_weight.t().contiguous()  # (hidden, C_out)

    def forward(self, rows: Tensor) -> Tensor:
        """(V, C) -> (V, C_out)."""
        hidden = linear_gelu(rows, self.folded_weight, self.folded_bias)
        return linear(hidden, self.parameters.project_weight, self.parameters.project_bias)


class MlpGradients:
    """Collects the gradients of a NormalizedMlp over chunks of rows, then gives those of its parameters and of the rows."""

    def __init__(self, mlp: NormalizedMlp) -> None:
        self.mlp = mlp
        weight = mlp.parameters.project_weight
        hidden, channels = mlp.parameters.expand_weight.shape
        self._products = weight.new_zeros(hidden, channels)  # S
        self._sums = weight.new_zeros(hidden)  # t
        self._project_back = weight.new_zeros(hidden, weight.shape[0])  # transposed: the faster product of the two
        self._project_bias = weight.new_zeros(weight.shape[0])

    def add(self, rows: Tensor, gradient: Tensor, row_gradient: Tensor) -> None:
        """One chunk.

        Args:
            rows: (V, C) as given to `forward`.
            gradient: (V, C_out) of its result.
            row_gradient: (V, C), written: what `finish_rows` completes.
        """
        mlp, ones = self.mlp, rows.new_ones(rows.shape[0])
        hidden = linear(rows, mlp.folded_weight, mlp.folded_bias)
        self._project_back.addmm_(F.gelu(hidden).t(), gradient)
        self._project_bias.addmv_(gradient.t(), ones)
        hidden_gradient = linear(gradient, mlp.project_back, None)
        torch.ops.aten.gelu_backward.grad_input(hidden_gradient, hidden, approximate="none", grad_input=hidden_gradient)
        self._products.addmm_(hidden_gradient.t(), rows)
        self._sums.addmv_(hidden_gradient.t(), ones)
        torch.mm(hidden_gradient, mlp.folded_weight, out=row_gradient)

    def parameters(self) -> MlpParameters:
        """Gradients of the parameters, each of the shape and dtype of the parameter; also prepares `finish_rows`."""
        mlp, p = self.mlp, self.mlp.parameters
        expand, products, sums = p.expand_weight.double(), self._products.double(), self._sums.double()
        scale = p.gamma.double() * mlp.inverse_deviation
        beta = expand.t() @ sums
        gamma = mlp.inverse_deviation * ((expand * products).sum(0) - mlp.mean * beta)
        expand_weight = scale * (products - torch.outer(sums, mlp.mean)) + torch.outer(sums, p.beta.double())
        self._row_factor = -scale * mlp.inverse_deviation * gamma / mlp.rows
        self._row_offset = -scale / mlp.rows * (beta - mlp.mean * mlp.inverse_deviation * gamma)
        dtype = p.gamma.dtype
        return MlpParameters(
            gamma.to(dtype),
            beta.to(dtype),
            expand_weight.to(dtype),
            self._sums,
            self._project_back.t(),
            self._project_bias,
        )

    def finish_rows(self, rows: Tensor, row_gradient: Tensor) -> None:
        """Complete the gradient of rows (V, C) in place, after `parameters`: the share of the norm's statistics."""
        channels, whole = rows.shape[1], rows.shape[0] - rows.shape[0] % _ROWS_TOGETHER
        factor, offset = (v.to(rows.dtype) for v in (self._row_factor, self._row_offset))
        for part, repeats in ((slice(0, whole), _ROWS_TOGETHER), (slice(whole, None), 1)):
            target = row_gradient[part].view(-1, repeats * channels)
            target.addcmul_(rows[part].view(-1, repeats * channels), factor.repeat(repeats)).add_(offset.repeat(repeats))
