"""The three blocks of MedNeXt on a graphics card; same results as networks/mednext.py.

    depthwise convolution + statistics -> [norm -> expansion -> GELU -> projection -> add]

As on the processor (cpu/block.py), a block adds its result to an activation that is there already, and only the output of the depthwise
convolution is allocated. The part in brackets is one kernel where the block is narrow and two where it is wide.
"""

import torch
from torch import Tensor

from mednextseg.kernels.cuda.addresses import DOWN, KEEP, UP
from mednextseg.kernels.cuda.depthwise import CudaDepthwise
from mednextseg.kernels.cuda.mlp import WIDEST_FUSED, fused_mlp
from mednextseg.kernels.cuda.products import expand_rows, project_rows
from mednextseg.kernels.cuda.rows import BatchRows, Residual
from mednextseg.kernels.cuda.transposed import CudaTransposedDepthwise
from mednextseg.kernels.cuda.weights import BlockWeights
from mednextseg.networks.mednext import GlobalResponseNorm, MedNeXtBlock, MedNeXtDownBlock, MedNeXtUpBlock


class CudaBlock:
    """MedNeXtBlock: works in place on its input."""

    def __init__(self, block: MedNeXtBlock, device: torch.device, dtype: torch.dtype) -> None:
        self.depthwise = CudaDepthwise(block.conv1, block.norm, device)
        self.weights = BlockWeights(block, device, dtype)
        self.residual = block.residual

    def __call__(self, rows: BatchRows) -> BatchRows:
        y, normalization = self.depthwise(rows)
        add_mlp(y, normalization, self.weights, Residual(rows, self.residual, rows, KEEP))
        return rows


class CudaDownBlock:
    """MedNeXtDownBlock: leaves its input, the skip connection, as it is."""

    def __init__(self, block: MedNeXtDownBlock, device: torch.device, dtype: torch.dtype) -> None:
        self.depthwise = CudaDepthwise(block.conv1, block.norm, device)
        self.weights = BlockWeights(block, device, dtype)
        self.out_channels = block.conv3.out_channels

    def __call__(self, rows: BatchRows) -> BatchRows:
        y, normalization = self.depthwise(rows)
        out = BatchRows.empty(y.values.shape[0], y.grid_kji, self.out_channels, y.values)
        add_mlp(y, normalization, self.weights, Residual(out, False, rows, DOWN))
        return out


class CudaUpBlock:
    """MedNeXtUpBlock and the addition of the skip connection: adds to the skip."""

    def __init__(self, block: MedNeXtUpBlock, device: torch.device, dtype: torch.dtype) -> None:
        self.depthwise = CudaTransposedDepthwise(block.conv1, block.norm, device)
        self.weights = BlockWeights(block, device, dtype)

    def __call__(self, rows: BatchRows, skip: BatchRows) -> BatchRows:
        y, normalization = self.depthwise(rows)
        add_mlp(y, normalization, self.weights, Residual(skip, True, rows, UP))
        return skip


def add_mlp(y: BatchRows, normalization: Tensor, weights: BlockWeights, residual: Residual) -> None:
    """Everything of a block behind its depthwise convolution; y (N, rows, C), normalization (N, 3, C)."""
    is_narrow = max(weights.expand.shape[0], weights.project.shape[1]) <= WIDEST_FUSED[y.values.dtype]
    hidden = response = None
    if not is_narrow or weights.gamma is not None:
        hidden, squares = expand_rows(y, normalization, weights, residual.resample, store=not is_narrow)
        response = None if weights.gamma is None else global_response(squares, weights)
    if is_narrow:
        fused_mlp(y, normalization, weights, residual, response)
    else:
        project_rows(hidden, y.grid_kji, weights, residual, response)


def global_response(squares: Tensor, weights: BlockWeights) -> Tensor:
    """Factors (N, H') of the hidden channels: 1 + gamma ||h_c|| / mean_c ||h_c||, from the squares (N, tiles, H')."""
    norm = squares.sum(1, dtype=torch.float64).sqrt()
    mean = norm.sum(1, keepdim=True) / weights.hidden  # padded channels are zero
    return (1 + weights.gamma * norm / (mean + GlobalResponseNorm.eps)).float()
